output "policy_arn" {
  description = "ARN of the policy."
  value       = aws_iam_policy.this.arn

  # Dependents of the policy also wait for its attachments.
  depends_on = [aws_iam_role_policy_attachment.this, aws_iam_role_policy_attachment.managed_instance_core]
}

output "policy_json" {
  description = "Policy document."
  value       = aws_iam_policy.this.policy
}

output "policy_name" {
  description = "Name of the policy."
  value       = aws_iam_policy.this.name
}
