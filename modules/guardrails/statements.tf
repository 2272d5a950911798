# What is denied. In the accounts of an organization the same things have the same names, in every region.

locals {
  ssm_arn = "arn:${local.partition}:ssm:*:*"

  key_aliases = concat([var.names.data_key_alias, var.names.logs_key_alias], try(sort(var.log_archive.key_aliases), []))

  # Actions and resources. `verify` compares the policy in force with the same file.
  denials = jsondecode(templatefile("${path.module}/denials.json.tftpl", {
    partition           = local.partition
    automation_document = var.names.automation_document
    config_rule         = var.names.config_rule
    data_key_parameter  = var.names.data_key_parameter
    document            = var.names.document
    function            = var.names.function
    key_alias_arns      = jsonencode([for alias in local.key_aliases : "arn:${local.partition}:kms:*:*:${alias}"])
    log_group           = var.names.log_group
    policy              = var.names.policy
    policy_path         = var.names.policy_path
    special_role_arns   = jsonencode(concat(local.exempt_role_arns, local.deployed_role_arns, sort(var.unlogged_session_role_arns)))
  }))

  # What can be named, by the switches of deny. It makes one statement, because each would repeat the exempt roles. That denies
  # nothing more: a call and the ARN of a resource go together only if they are of one kind.
  named = local.denials.named

  log_archive = [
    for archive in flatten([var.log_archive[*], try(var.log_archive.other_buckets, [])]) : {
      actions = concat(local.denials.archive.objects, archive.key_prefix != null ? [] : local.denials.archive.bucket)
      resources = [
        for path in archive.key_prefix != null ? ["/${archive.key_prefix}/*"] : ["", "/*"] :
        "arn:${local.partition}:s3:::${archive.bucket_name}${path}"
      ]
    }
  ]

  # What AWS decides without a resource.
  account_wide = local.denials.account_wide

  # A document that may start sessions, and that its owners may not make log elsewhere.
  logged_documents = length(var.logged_session_documents) == 0 ? [] : [{
    actions   = local.denials.documents
    resources = [for name in sort(var.logged_session_documents) : "${local.ssm_arn}:document/${name}"]
  }]

  denied_account_wide = flatten([for switch, actions in local.account_wide : actions if var.deny[switch]])

  denied_by_name = concat([for switch, denied in local.named : denied if var.deny[switch]], local.logged_documents, local.log_archive)

  own_document_arns = [
    for name in concat([var.names.document], sort(var.logged_session_documents), sort(var.other_session_documents)) : "${local.ssm_arn}:document/${name}"
  ]

  # Only AWS may use names that begin with AWS-.
  aws_document_arns = local.denials.aws_documents

  unlogged_document_arns = [for kind, arn in local.aws_document_arns : arn if var.deny[kind]]
  allowed_document_arns  = [for kind, arn in local.aws_document_arns : arn if !var.deny[kind]]
}

# For all but the exempt roles. SCPs do not apply to AWS services and service-linked roles.
data "aws_iam_policy_document" "this" {
  dynamic "statement" {
    for_each = length(local.denied_by_name) > 0 ? [true] : []

    content {
      sid       = "KeepAsDeployed"
      effect    = "Deny"
      actions   = distinct(flatten(local.denied_by_name[*].actions))
      resources = distinct(flatten(local.denied_by_name[*].resources))

      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = concat(local.exempt_role_arns, local.deployed_role_arns)
      }
    }
  }

  dynamic "statement" {
    for_each = length(local.denied_account_wide) > 0 ? [true] : []

    content {
      sid       = "KeepAccountSettings"
      effect    = "Deny"
      actions   = local.denied_account_wide
      resources = ["*"]

      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = local.exempt_role_arns
      }
    }
  }

  dynamic "statement" {
    for_each = var.deny.keys ? [true] : []

    content {
      sid       = "KeepKeys"
      effect    = "Deny"
      actions   = local.denials.keys.actions
      resources = ["arn:${local.partition}:kms:*:*:key/*"]

      condition {
        test     = "ForAnyValue:StringEquals"
        variable = "kms:ResourceAliases"
        values   = local.key_aliases
      }

      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = local.exempt_role_arns
      }
    }
  }

  # AWS Config gives rules random ids, so the rule is known by its tag.
  dynamic "statement" {
    for_each = var.deny.config_rule ? [true] : []

    content {
      sid       = "KeepConfigRule"
      effect    = "Deny"
      actions   = local.denials.config_rule.actions
      resources = ["arn:${local.partition}:config:*:*:config-rule/*"]

      condition {
        test     = "StringEquals"
        variable = "aws:ResourceTag/${var.config_rule_tag.key}"
        values   = [var.config_rule_tag.value]
      }

      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = local.exempt_role_arns
      }
    }
  }

  # StartSession is decided on the instance and, apart from it, on the document: what is no document passes here.
  dynamic "statement" {
    for_each = var.deny.other_documents ? [true] : []

    content {
      sid           = "NoOtherSessionDocuments"
      effect        = "Deny"
      actions       = ["ssm:StartSession"]
      not_resources = concat(local.own_document_arns, local.allowed_document_arns, local.denials.session_targets)

      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = concat(local.exempt_role_arns, sort(var.unlogged_session_role_arns))
      }
    }
  }

  # Another account could share a document of the same name, which logs nothing.
  dynamic "statement" {
    for_each = var.deny.other_documents ? [true] : []

    content {
      sid       = "NoForeignSessionDocuments"
      effect    = "Deny"
      actions   = ["ssm:StartSession"]
      resources = local.own_document_arns

      condition {
        test     = "StringNotEquals"
        variable = "aws:ResourceAccount"
        values   = ["$${aws:PrincipalAccount}"]
      }

      # Should a request not say whose the document is, sessions still start.
      condition {
        test     = "Null"
        variable = "aws:ResourceAccount"
        values   = ["false"]
      }

      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = concat(local.exempt_role_arns, sort(var.unlogged_session_role_arns))
      }
    }
  }

  dynamic "statement" {
    for_each = !var.deny.other_documents && length(local.unlogged_document_arns) > 0 ? [true] : []

    content {
      sid       = "NoUnloggedSessions"
      effect    = "Deny"
      actions   = ["ssm:StartSession"]
      resources = local.unlogged_document_arns

      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = concat(local.exempt_role_arns, sort(var.unlogged_session_role_arns))
      }
    }
  }
}
