output "config_rule_name" {
  description = "Rule whose compliance to look at."
  value       = module.config_rule.rule_name
}

output "document" {
  description = "What happened to the document."
  value       = module.preferences.document
}

output "instance_policy_arn" {
  description = "Policy of the instances."
  value       = module.instance_policy.policy_arn
}
