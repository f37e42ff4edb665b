# The broker of one stage, as the CloudFormation stack that `npm run package` made a template of. What is in it is said
# there: nothing of it is repeated here.
#
#   terraform apply -var packaged=../../dist/d1-token-broker-staging -var bucket=bank-artifacts

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_s3_bucket" "artifacts" {
  bucket = var.bucket
}

resource "aws_s3_object" "zip" {
  bucket = var.bucket
  key    = local.zip_key
  source = local.zip

  # A stack that rolls back asks for the zip that it had.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_s3_object" "template" {
  bucket = var.bucket
  key    = local.template_key
  source = local.template

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudformation_stack" "broker" {
  name         = local.stack_name
  template_url = "https://${data.aws_s3_bucket.artifacts.bucket_regional_domain_name}/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_NAMED_IAM"]

  # The other parameters are the stage's own: infra/params.yml, and d1-token key rollover.
  parameters = {
    CodeBucket = aws_s3_object.zip.bucket
    CodeKey    = aws_s3_object.zip.key
  }

  tags = {
    service = "d1-token-broker"
    stage   = local.stage
  }

  lifecycle {
    prevent_destroy = true
  }
}
