variable "packaged" {
  description = "The folder that npm run package made, like dist/d1-token-broker-staging"
  type        = string
}

variable "bucket" {
  description = "A bucket of your own, in the Region of the stack; the zip and the template go into it"
  type        = string
}

locals {
  # The operator's commands look for the stack by this name.
  stack_name = basename(abspath(var.packaged))
  stage      = trimprefix(local.stack_name, "d1-token-broker-")

  zip      = "${var.packaged}/d1-token-broker.zip"
  template = "${var.packaged}/template.json"

  # What has changed has another key: CloudFormation looks at the key, and not into the bucket.
  zip_key      = "d1-token-broker/${filesha256(local.zip)}.zip"
  template_key = "d1-token-broker/${filesha256(local.template)}.json"
}
