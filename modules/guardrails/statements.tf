# What is denied. In the accounts of an organization the same things have the same names, in every region.

locals {
  ssm_arn = "arn:${local.partition}:ssm:*:*"

  document_actions = [
    "ssm:CreateDocument",
    "ssm:DeleteDocument",
    "ssm:ModifyDocumentPermission",
    "ssm:UpdateDocument*",
  ]

  # Log group ARNs occur with and without the trailing `:*`.
  log_group_arns = flatten([
    for name in [var.names.log_group, "/aws/lambda/${var.names.function}"] :
    [for end in ["", ":*"] : "arn:${local.partition}:logs:*:*:log-group:${name}${end}"]
  ])

  key_aliases = concat([var.names.data_key_alias, var.names.logs_key_alias], try(sort(var.log_archive.key_aliases), []))

  # What can be named, by the switches of deny. It makes one statement, because each would repeat the exempt roles. That denies
  # nothing more: a call and the ARN of a resource go together only if they are of one kind.
  named = {
    # Also the records of the original document, which destroy restores, and of the settings from which drift is repaired.
    preferences = {
      actions = concat(local.document_actions, ["ssm:DeleteParameter*", "ssm:PutParameter"])
      resources = [
        "${local.ssm_arn}:document/${var.names.document}",
        "${local.ssm_arn}:parameter${var.names.data_key_parameter}",
        "${local.ssm_arn}:parameter/session-manager/applied-preferences*",
        "${local.ssm_arn}:parameter/session-manager/original-document",
      ]
    }

    public_sharing = {
      actions   = ["ssm:ResetServiceSetting", "ssm:UpdateServiceSetting"]
      resources = ["${local.ssm_arn}:servicesetting/ssm/documents/console/public-sharing-permission"]
    }

    # The keys are known by their aliases.
    keys = {
      actions   = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"]
      resources = [for alias in local.key_aliases : "arn:${local.partition}:kms:*:*:${alias}"]
    }

    # A data protection policy masks what was typed, its deletion shows what was to be masked, a transformer rewrites it.
    log_groups = {
      actions = [
        "logs:AssociateKmsKey",
        "logs:DeleteData*", # DeleteDataProtectionPolicy
        "logs:DeleteLog*",  # DeleteLogGroup, DeleteLogStream
        "logs:DisassociateKmsKey",
        "logs:PutDataProtectionPolicy",
        "logs:PutRetentionPolicy",
        "logs:PutTransformer",
      ]
      resources = local.log_group_arns
    }

    subscription_filters = {
      actions   = ["logs:DeleteSubscriptionFilter", "logs:PutSubscriptionFilter"]
      resources = local.log_group_arns
    }

    # Its role may write the preferences: a principal that could call it, or change its code, could write any content.
    function = {
      actions = [
        "lambda:AddPermission",
        "lambda:Create*",
        "lambda:Delete*",
        "lambda:Invoke*",
        "lambda:Put*",
        "lambda:RemovePermission",
        "lambda:Update*",
      ]
      resources = [for end in ["", ":*"] : "arn:${local.partition}:lambda:*:*:function:${var.names.function}${end}"]
    }

    # The event bus and the rules that call the function, and the queue and alarm of the repairs that failed. Messages may be
    # deleted: that ends the alarm.
    drift_repair = {
      actions = [
        "cloudwatch:DeleteAlarms",
        "cloudwatch:DisableAlarmActions",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:SetAlarmState",
        "events:DeleteRule",
        "events:DisableRule",
        "events:PutRule",
        "events:PutTargets",
        "events:RemoveTargets",
        "events:UpdateEventBus",
        "sqs:AddPermission",
        "sqs:DeleteQueue",
        "sqs:PurgeQueue",
        "sqs:SetQueueAttributes",
      ]
      resources = [
        "arn:${local.partition}:cloudwatch:*:*:alarm:${var.names.function}-failures",
        "arn:${local.partition}:events:*:*:event-bus/default",
        "arn:${local.partition}:events:*:*:rule/${var.names.function}-*",
        "arn:${local.partition}:sqs:*:*:${var.names.function}-failures",
      ]
    }

    # EventBridge receives calls only while a trail records management events.
    cloudtrail = {
      actions   = ["cloudtrail:DeleteTrail", "cloudtrail:PutEventSelectors", "cloudtrail:StopLogging", "cloudtrail:UpdateTrail"]
      resources = ["arn:${local.partition}:cloudtrail:*:*:trail/*"]
    }

    # The rule sees only what is recorded.
    config_recorder = {
      actions   = ["config:DeleteConfigurationRecorder", "config:PutConfigurationRecorder", "config:StopConfigurationRecorder"]
      resources = ["arn:${local.partition}:config:*:*:configuration-recorder/*"]
    }

    # The remediation of the rule, which has no name.
    config_rule = {
      actions = concat(local.document_actions, ["config:DeleteRemediationConfiguration", "config:PutRemediationConfigurations"])
      resources = [
        "arn:${local.partition}:config:*:*:remediation-configuration/${var.names.config_rule}/*",
        "${local.ssm_arn}:document/${var.names.automation_document}",
      ]
    }

    instance_policy = {
      actions   = ["iam:CreatePolicy*", "iam:DeletePolicy*", "iam:SetDefaultPolicyVersion"]
      resources = ["arn:${local.partition}:iam::*:policy${var.names.policy_path}${var.names.policy}"]
    }

    # A principal that could create, change or pass one of them would be exempt.
    exempt_roles = {
      actions = [
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:Delete*",
        "iam:DetachRolePolicy",
        "iam:PassRole",
        "iam:Put*",
        "iam:Update*",
      ]
      resources = concat(local.exempt_role_arns, local.deployed_role_arns, sort(var.unlogged_session_role_arns))
    }
  }

  # Of a bucket that others use, too, the session logs only: its settings are not ours.
  log_archive = [
    for archive in flatten([var.log_archive[*], try(var.log_archive.other_buckets, [])]) : {
      actions = concat(
        ["s3:BypassGovernanceRetention", "s3:DeleteObject*"],
        archive.key_prefix != null ? [] : [
          "s3:CreateBucketMetadata*",
          "s3:DeleteBucket*",
          "s3:Put*Configuration", # encryption, inventory, lifecycle, replication ...
          "s3:PutBucket*",
        ],
      )
      resources = [
        for path in archive.key_prefix != null ? ["/${archive.key_prefix}/*"] : ["", "/*"] :
        "arn:${local.partition}:s3:::${archive.bucket_name}${path}"
      ]
    }
  ]

  # What AWS decides without a resource.
  account_wide = {
    account_log_policies   = ["logs:PutAccountPolicy"]
    remediation_exceptions = ["config:PutRemediationExceptions"]
  }

  # A document that may start sessions, and that its owners may not make log elsewhere.
  logged_documents = length(var.logged_session_documents) == 0 ? [] : [{
    actions   = local.document_actions
    resources = [for name in sort(var.logged_session_documents) : "${local.ssm_arn}:document/${name}"]
  }]

  denied_account_wide = flatten([for switch, actions in local.account_wide : actions if var.deny[switch]])

  denied_by_name = concat([for switch, denied in local.named : denied if var.deny[switch]], local.logged_documents, local.log_archive)

  own_document_arns = [
    for name in concat([var.names.document], sort(var.logged_session_documents), sort(var.other_session_documents)) : "${local.ssm_arn}:document/${name}"
  ]

  # Only AWS may use names that begin with AWS-.
  aws_document_arns = { for kind, name in { ssh = "AWS-StartSSHSession", port_forwarding = "AWS-StartPortForwardingSession*" } : kind => "${local.ssm_arn}:document/${name}" }

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
      sid    = "KeepKeys"
      effect = "Deny"
      # No service needs a grant on these keys, and a grant outlives the policy of the principal that made it.
      actions   = ["kms:CreateGrant", "kms:DeleteImportedKeyMaterial", "kms:DisableKey*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]
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
      sid    = "KeepConfigRule"
      effect = "Deny"

      actions = [
        "config:DeleteConfigRule",
        "config:DeleteEvaluationResults",
        "config:PutConfigRule",
        "config:TagResource",
        "config:UntagResource",
      ]

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
      sid     = "NoOtherSessionDocuments"
      effect  = "Deny"
      actions = ["ssm:StartSession"]

      not_resources = concat(local.own_document_arns, local.allowed_document_arns, [
        "arn:${local.partition}:ec2:*:*:instance/*",
        "arn:${local.partition}:ecs:*:*:task/*",
        "${local.ssm_arn}:managed-instance/*",
      ])

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
