output "destination_arn" {
  description = "ARN of the destination, for `cloudwatch.subscription.destination_arn` of the preferences in this region."
  value       = local.destination_arn

  # Dependents of the destination also wait for the policy that lets them send.
  depends_on = [aws_cloudwatch_log_destination_policy.this]
}

output "role_arn" {
  description = "ARN of the role with which CloudWatch Logs sends to the target."
  value       = aws_iam_role.this.arn
}
