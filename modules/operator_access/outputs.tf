output "auditor_policy" {
  description = "The auditors' policy: `arn`, and `name` and `path`, by which a permission set of IAM Identity Center refers to it; null when it is not created."
  value       = one([for policy in aws_iam_policy.auditor : { arn = policy.arn, name = policy.name, path = policy.path }])

  # Dependents of the policy also wait for its attachments.
  depends_on = [aws_iam_role_policy_attachment.auditor]
}

output "auditor_policy_json" {
  description = "Policy document of the auditors, such as for the inline policy of a permission set; there in any case."
  value       = data.aws_iam_policy_document.auditor.minified_json
}

output "operator_policy" {
  description = "The operators' policy: `arn`, and `name` and `path`, by which a permission set of IAM Identity Center refers to it; null when it is not created."
  value       = one([for policy in aws_iam_policy.operator : { arn = policy.arn, name = policy.name, path = policy.path }])

  depends_on = [aws_iam_role_policy_attachment.operator]
}

output "operator_policy_json" {
  description = "Policy document of the operators, such as for the inline policy of a permission set; null when `operator.enabled` is false."
  value       = var.operator.enabled ? data.aws_iam_policy_document.operator.minified_json : null
}
