data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # The fields of the policy templates, which tools/permissions.py generates.
  fields = {
    partition  = local.partition
    account    = local.account_id
    policy     = "${trimprefix(var.names.policy_path, "/")}${var.names.policy}"
    log_group  = var.names.log_group
    parameter  = trimprefix(var.names.data_key_parameter, "/")
    document   = var.names.document
    automation = var.names.automation_document
    function   = var.names.function
    bucket     = var.names.log_bucket
    attach_to  = "*"
  }

  # Each is within the 6,144 characters of a managed policy; together they are not.
  policies = {
    read   = jsonencode(jsondecode(templatefile("${path.module}/policies/read.json.tftpl", local.fields)))
    change = jsonencode(jsondecode(templatefile("${path.module}/policies/change.json.tftpl", local.fields)))
  }

  member_roles = var.member == null ? {} : {
    read = {
      name     = var.member.read_role_name
      trusted  = var.member.trusted_by_read_role
      policies = toset(["read"])
    }
    deployment = {
      name     = var.member.deployment_role_name
      trusted  = var.member.trusted_by_deployment_role
      policies = toset(["read", "change"])
    }
  }

  attachments = merge([
    for key, role in local.member_roles : { for policy in role.policies : "${key}-${policy}" => { role = key, policy = policy } }
  ]...)
}

data "aws_iam_policy_document" "member_trust" {
  for_each = local.member_roles

  statement {
    sid     = "RolesOfTheRollout"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = each.value.trusted
    }

    dynamic "condition" {
      for_each = var.member.external_id[*]

      content {
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role" "member" {
  for_each = local.member_roles

  name                 = each.value.name
  path                 = var.path
  description          = each.key == "read" ? "Assumed to plan and verify Session Manager." : "Assumed to apply and destroy Session Manager."
  assume_role_policy   = data.aws_iam_policy_document.member_trust[each.key].json
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_policy" "member" {
  for_each = var.member == null ? {} : local.policies

  name        = "${var.member.policy_name_prefix}-${each.key}"
  path        = var.path
  description = each.key == "read" ? "Read the configuration of Session Manager." : "Change the configuration of Session Manager."
  policy      = each.value
}

resource "aws_iam_role_policy_attachment" "member" {
  for_each = local.attachments

  role       = aws_iam_role.member[each.value.role].name
  policy_arn = aws_iam_policy.member[each.value.policy].arn
}
