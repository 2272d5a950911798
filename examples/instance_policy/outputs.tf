output "policy_arn" {
  description = "ARN to attach to the roles of your instances."
  value       = module.instance_policy.policy_arn
}

output "policy_json" {
  description = "What the policy allows."
  value       = module.instance_policy.policy_json
}
