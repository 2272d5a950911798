output "boundary_arn" {
  description = "ARN of the permissions boundary; null when it is not created."
  value       = one(aws_iam_policy.boundary[*].arn)
}

output "boundary_json" {
  description = "Text of the permissions boundary, created or not."
  value       = data.aws_iam_policy_document.boundary.minified_json
}

output "scp_id" {
  description = "Id of the SCP; null when it is attached to nothing."
  value       = one(aws_organizations_policy.this[*].id)

  # Dependents of the SCP also wait for its attachments.
  depends_on = [aws_organizations_policy_attachment.this]
}

output "scp_json" {
  description = "Text of the SCP, attached or not."
  value       = data.aws_iam_policy_document.this.minified_json

  # Checked here, because no policy resource exists if another tool attaches this text. With the boundary alone, the limit does
  # not apply.
  precondition {
    condition     = local.scp_length <= var.scp_length_limit || (length(var.attach_to) == 0 && var.boundary.enabled)
    error_message = "The SCP would have ${local.scp_length} characters, and scp_length_limit is ${var.scp_length_limit}: exempt fewer roles or by shorter patterns, or switch off groups of deny. The longest, with their approximate lengths: ${local.advice}."
  }
}

output "scp_length" {
  description = "Characters of the SCP, of the `scp_length_limit`."
  value       = local.scp_length
}
