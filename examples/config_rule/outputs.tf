output "automation_document_name" {
  description = "Document that attaches the policy to a flagged role."
  value       = module.config_rule.automation_document_name
}

output "rule_name" {
  description = "Rule whose compliance to look at."
  value       = module.config_rule.rule_name
}
