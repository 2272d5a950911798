output "auditor_policy" {
  description = "Policy of the people who read what was done."
  value       = module.operator_access.auditor_policy
}

output "operator_policy" {
  description = "Policy of the people who open sessions."
  value       = module.operator_access.operator_policy
}

output "operator_policy_json" {
  description = "What the operators may do, to paste into a permission set of IAM Identity Center."
  value       = module.operator_access.operator_policy_json
}
