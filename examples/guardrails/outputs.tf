output "scp_id" {
  description = "Id of the SCP; null when it is attached to nothing."
  value       = module.guardrails.scp_id
}

output "scp_json" {
  description = "Text of the SCP."
  value       = module.guardrails.scp_json
}

output "scp_length" {
  description = "Characters of the SCP, of the `scp_length_limit` of the module."
  value       = module.guardrails.scp_length
}
