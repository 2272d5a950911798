# For organizations without SCPs: the same denials as a permissions boundary, for one account. A boundary, and no policy of
# denials to attach, because it requires the same boundary on every principal that is created under it.

locals {
  boundary_arn     = "arn:${local.partition}:iam::${local.account_id}:policy${var.boundary.path}${var.boundary.name}"
  principal_arns   = [for kind in ["role", "user"] : "arn:${local.partition}:iam::${local.account_id}:${kind}/*"]
  boundary_length  = length(data.aws_iam_policy_document.boundary.minified_json)
  longest_boundary = 6144
}

data "aws_iam_policy_document" "boundary" {
  #checkov:skip=CKV_AWS_1,CKV_AWS_49:A permissions boundary grants nothing: it allows what other policies grant, except the denials.
  source_policy_documents = [data.aws_iam_policy_document.this.json]

  statement {
    sid       = "WhatOtherPoliciesAllow"
    actions   = ["*"]
    resources = ["*"]
  }

  statement {
    sid       = "KeepBoundary"
    effect    = "Deny"
    actions   = ["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary"]
    resources = local.principal_arns
  }

  statement {
    sid       = "PassBoundaryOn"
    effect    = "Deny"
    actions   = ["iam:CreateRole", "iam:CreateUser", "iam:PutRolePermissionsBoundary", "iam:PutUserPermissionsBoundary"]
    resources = local.principal_arns

    condition {
      test     = "ArnNotEquals"
      variable = "iam:PermissionsBoundary"
      values   = [local.boundary_arn]
    }
  }

  statement {
    sid       = "KeepBoundaryPolicy"
    effect    = "Deny"
    actions   = ["iam:CreatePolicyVersion", "iam:DeletePolicy*", "iam:SetDefaultPolicyVersion"]
    resources = [local.boundary_arn]
  }
}

resource "aws_iam_policy" "boundary" {
  count = var.boundary.enabled ? 1 : 0

  name        = var.boundary.name
  path        = var.boundary.path
  description = "Session Manager guardrails, as a permissions boundary. Never attach it as a policy: it allows everything else."
  policy      = data.aws_iam_policy_document.boundary.minified_json

  tags = var.tags

  lifecycle {
    precondition {
      condition     = local.boundary_length <= local.longest_boundary
      error_message = "The boundary ${var.boundary.name} would have ${local.boundary_length} characters and IAM takes ${local.longest_boundary}: exempt fewer roles or by shorter patterns, or switch off groups of deny. The longest, with their approximate lengths: ${local.advice}."
    }
  }
}
