output "document" {
  description = "What happened to the document."
  value       = module.preferences.document
}

output "policy_arn" {
  description = "ARN of the instance policy."
  value       = module.instance_policy.policy_arn
}
