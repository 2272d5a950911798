output "ci_role_arns" {
  description = "ARNs of the roles for CI jobs, by `plan` and `apply`; empty without `ci`."
  value       = { for key, role in aws_iam_role.ci : key => role.arn }
}

output "member_role_arns" {
  description = "ARNs of the roles in the account, by `read` and `deployment`; empty without `member`."
  value       = { for key, role in aws_iam_role.member : key => role.arn }
}

output "settings" {
  description = "The roles as organization.yaml names them (`read_role` and `deployment_role`); null without `member`."
  value = var.member == null ? null : {
    read_role       = { name = "${trimprefix(var.path, "/")}${var.member.read_role_name}", external_id = var.member.external_id }
    deployment_role = { name = "${trimprefix(var.path, "/")}${var.member.deployment_role_name}", external_id = var.member.external_id }
  }
}
