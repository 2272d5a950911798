output "document" {
  description = "Result of the function's last run for Terraform: the document's name, the outcome, the default and the latest version."

  # Without the changes, which may be many.
  value = { for key, value in jsondecode(aws_lambda_invocation.this.result) : key => value if key != "changes" }
}

output "failures_queue_url" {
  description = "URL of the queue of failed repairs; null without drift repair."
  value       = one(aws_sqs_queue.failures[*].url)
}

output "function_input" {
  description = "Wanted state of the document: its name, the preferences by the names of its inputs, adopt and waive."
  value       = local.wanted
}

output "function_name" {
  description = "Name of the function that writes the document."
  value       = aws_lambda_function.this.function_name
}

output "function_role_arn" {
  description = "ARN of the function's role."
  value       = aws_iam_role.function.arn
}

output "log_group_arn" {
  description = "ARN of the created log group of the sessions; null when none is created."
  value       = one(aws_cloudwatch_log_group.sessions[*].arn)
}

output "log_group_name" {
  description = "Name of the log group of the sessions; empty without CloudWatch logging."
  value       = var.cloudwatch.log_group_name
}

output "logs_key_arn" {
  description = "ARN of the key that encrypts the session logs in CloudWatch Logs; null without one."
  value       = local.logs_key_arn
}

output "preferences" {
  description = "The managed preferences, by the names of the document's inputs; null is not managed."
  value       = local.preferences
}

output "session_key_arn" {
  description = "ARN of the key that encrypts session data; null without one."
  value       = local.session_key_arn
}

output "session_key_parameter_name" {
  description = "Name of the SSM parameter that holds the id of the created session-data key; null when none is created."
  value       = one(aws_ssm_parameter.session_key[*].name)
}
