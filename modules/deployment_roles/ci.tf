locals {
  issuers = {
    github = { url = "https://token.actions.githubusercontent.com", audience = "sts.amazonaws.com" }
    gitlab = { url = "https://gitlab.com", audience = "https://gitlab.com" }
  }

  issuer   = one([for ci in var.ci[*] : coalesce(ci.issuer_url, local.issuers[ci.service].url)])
  audience = one([for ci in var.ci[*] : coalesce(ci.audience, local.issuers[ci.service].audience)])

  # Conditions name the issuer without its scheme.
  issuer_host = one([for url in local.issuer[*] : trimprefix(url, "https://")])

  provider_arn = one([
    for ci in var.ci[*] : ci.existing_provider_arn != null ? ci.existing_provider_arn : aws_iam_openid_connect_provider.this[0].arn
  ])

  ci_roles = var.ci == null ? {} : {
    plan  = { name = var.ci.plan_role_name, subjects = var.ci.plan_subjects }
    apply = { name = var.ci.apply_role_name, subjects = var.ci.apply_subjects }
  }
}

resource "aws_iam_openid_connect_provider" "this" {
  count = var.ci != null && try(var.ci.existing_provider_arn, null) == null ? 1 : 0

  url            = local.issuer
  client_id_list = [local.audience]
}

data "aws_iam_policy_document" "ci_trust" {
  for_each = local.ci_roles

  statement {
    sid     = "JobsOfTheRepository"
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [local.provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer_host}:aud"
      values   = [local.audience]
    }

    condition {
      test     = "StringLike"
      variable = "${local.issuer_host}:sub"
      values   = each.value.subjects
    }
  }
}

resource "aws_iam_role" "ci" {
  for_each = local.ci_roles

  name                 = each.value.name
  path                 = var.path
  description          = "Assumed by CI jobs that ${each.key} Session Manager."
  assume_role_policy   = data.aws_iam_policy_document.ci_trust[each.key].json
  max_session_duration = var.ci.max_session_duration
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_role_policy" "ci" {
  for_each = local.ci_roles

  name = "session-manager-${each.key}"
  role = aws_iam_role.ci[each.key].name
  policy = jsonencode(jsondecode(templatefile("${path.module}/policies/ci_${each.key}.json.tftpl", {
    partition       = local.partition
    state_bucket    = var.ci.state_bucket
    key_prefix      = var.ci.state_key_prefix
    organization_id = var.ci.organization_id
    read_role       = "${trimprefix(var.path, "/")}${var.ci.read_role_name}"
    deployment_role = "${trimprefix(var.path, "/")}${var.ci.deployment_role_name}"
  })))
}

# A key of one's own for the states; without one, the bucket's default encryption needs no permission.
data "aws_iam_policy_document" "state_key" {
  statement {
    sid       = "UseStateKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = compact([try(var.ci.state_kms_key_arn, null)])
  }
}

resource "aws_iam_role_policy" "state_key" {
  for_each = { for key, role in local.ci_roles : key => role if try(var.ci.state_kms_key_arn, null) != null }

  name   = "session-manager-state-key"
  role   = aws_iam_role.ci[each.key].name
  policy = data.aws_iam_policy_document.state_key.json
}

# The role of the account with the states (organization.state.role), where they are in another one.
data "aws_iam_policy_document" "state_role" {
  statement {
    sid       = "AssumeStateRole"
    actions   = ["sts:AssumeRole"]
    resources = compact([try(var.ci.state_role_arn, null)])
  }
}

resource "aws_iam_role_policy" "state_role" {
  for_each = { for key, role in local.ci_roles : key => role if try(var.ci.state_role_arn, null) != null }

  name   = "session-manager-state-role"
  role   = aws_iam_role.ci[each.key].name
  policy = data.aws_iam_policy_document.state_role.json
}
