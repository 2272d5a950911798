output "auditor" {
  description = "Policy of the people who read what was done."
  value       = module.operator_access.auditor
}

output "operator" {
  description = "Policy of the people who open sessions."
  value       = module.operator_access.operator
}

output "operator_json" {
  description = "What the operators may do, to paste into a permission set of IAM Identity Center."
  value       = module.operator_access.operator_json
}
