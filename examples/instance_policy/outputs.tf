output "arn" {
  description = "ARN to attach to the roles of your instances."
  value       = module.instance_policy.arn
}

output "json" {
  description = "What the policy allows."
  value       = module.instance_policy.json
}
