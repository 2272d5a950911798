output "account_id" {
  description = "Account that was configured."
  value       = data.aws_caller_identity.current.account_id
}

output "automation_document_name" {
  description = "Name of the Automation document that attaches the instance policy; null outside the home region."
  value       = one(module.config_rule[*].automation_document_name)
}

output "config_rule_arn" {
  description = "ARN of the Config rule; null outside the home region."
  value       = one(module.config_rule[*].rule_arn)
}

output "config_rule_name" {
  description = "Name of the Config rule; null outside the home region."
  value       = one(module.config_rule[*].rule_name)
}

output "document" {
  description = "What the last run of the preferences function did to the document: its name, the outcome, the default and the latest version."
  value       = one(module.preferences[*].document)
}

output "failures_queue_url" {
  description = "URL of the queue that gets the repairs of the preferences that failed; null without drift repair."
  value       = one(module.preferences[*].failures_queue_url)
}

output "guardrails" {
  description = "Id and length of the service control policy; null outside the management account."
  value = one([for guardrails in module.guardrails[*] : {
    policy_id  = guardrails.scp_id
    scp_length = guardrails.scp_length
  }])
}

output "instance_policy_arn" {
  description = "ARN of the instance policy; null outside the home region."
  value       = one(module.instance_policy[*].policy_arn)
}

output "log_archive" {
  description = "Bucket, key and prefix that the session logs of the organization go to; null outside the account of the log archive."
  value = one([for archive in module.log_archive[*] : {
    bucket_name     = archive.bucket_name
    bucket_key_arn  = archive.bucket_key_arn
    session_key_arn = archive.session_key_arn
    key_prefix      = archive.s3.key_prefix
  }])
}

output "log_group_name" {
  description = "Name of the log group of the sessions; empty without CloudWatch logging."
  value       = one(module.preferences[*].log_group_name)
}

output "logs_key_arn" {
  description = "ARN of the key that encrypts the session logs in CloudWatch Logs; null without one."
  value       = one(module.preferences[*].logs_key_arn)
}

output "preferences" {
  description = "What the preferences are to be, as the function was asked: the document's name, the preferences by the names of its inputs, adopt and waive; null where they are not managed."
  value       = one(module.preferences[*].function_input)
}

output "region" {
  description = "Region that was configured."
  value       = var.region
}

output "session_key_arn" {
  description = "ARN of the key that encrypts session data; null without one."
  value       = one(module.preferences[*].session_key_arn)
}
