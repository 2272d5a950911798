output "boundary_arn" {
  description = "ARN of the permissions boundary; null when it is not created."
  value       = one(aws_iam_policy.boundary[*].arn)
}

output "boundary_json" {
  description = "Text of the permissions boundary, created or not."
  value       = data.aws_iam_policy_document.boundary.minified_json
}

output "policy_id" {
  description = "Id of the SCP; null when it is attached to nothing."
  value       = one(aws_organizations_policy.this[*].id)

  # Whoever waits for the SCP waits until it binds.
  depends_on = [aws_organizations_policy_attachment.this]
}

output "scp_json" {
  description = "Text of the SCP, attached or not."
  value       = data.aws_iam_policy_document.this.minified_json
}

output "scp_length" {
  description = "Characters of the SCP, of the 5,120 that AWS Organizations takes."
  value       = local.scp_length
}
