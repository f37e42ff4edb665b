output "token_secret_arn" {
  description = "The secret that consumers read"
  value       = aws_cloudformation_stack.broker.outputs["TokenSecretArn"]
}

output "token_reader_policy_arn" {
  description = "The policy that a consumer's role needs for it"
  value       = aws_cloudformation_stack.broker.outputs["TokenReaderPolicyArn"]
}

output "token_invoker_policy_arn" {
  description = "The policy of a role that invokes the function for a token"
  value       = aws_cloudformation_stack.broker.outputs["TokenInvokerPolicyArn"]
}
