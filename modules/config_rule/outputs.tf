output "automation_document_arn" {
  description = "ARN of the Automation document."
  value       = aws_ssm_document.this.arn
}

output "automation_document_name" {
  description = "Name of the Automation document."
  value       = aws_ssm_document.this.name
}

output "automation_role_arn" {
  description = "ARN of the role that the automation assumes."
  value       = aws_iam_role.this.arn
}

output "rule_arn" {
  description = "ARN of the Config rule."
  value       = aws_config_config_rule.this.arn
}

output "rule_name" {
  description = "Name of the Config rule."
  value       = aws_config_config_rule.this.name
}
