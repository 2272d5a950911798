output "ci_role_arns" {
  description = "ROLLOUT_PLAN_ROLE and ROLLOUT_APPLY_ROLE of the workflows."
  value       = module.ci.ci_role_arns
}

output "settings" {
  description = "The roles for organization.yaml."
  value       = module.member.settings
}
