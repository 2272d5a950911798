# For people who read what was done. They open no session and change nothing.

locals {
  log_group_arns = flatten([
    for name in [var.names.log_group, "/aws/lambda/${var.names.function}"] :
    ["arn:${local.partition}:logs:*:${local.account_id}:log-group:${name}", "arn:${local.partition}:logs:*:${local.account_id}:log-group:${name}:*"]
  ])

  log_bucket_arn = one([for s3 in var.s3[*] : "arn:${local.partition}:s3:::${s3.bucket_name}"])
  log_prefix     = one([for s3 in var.s3[*] : join("/", compact([s3.key_prefix, "*"]))])

  log_bucket_key_arn = one(var.s3[*].kms_key_arn)
}

data "aws_iam_policy_document" "auditor" {
  statement {
    sid = "ReadLogGroups"

    actions = [
      "logs:DescribeLogStreams",
      "logs:FilterLogEvents",
      "logs:GetLogEvents",
      "logs:GetLogRecord",
      "logs:GetQueryResults",
      "logs:StartQuery",
    ]

    # IAM knows a log group by both forms.
    resources = local.log_group_arns
  }

  # CloudWatch Logs decrypts with the key of the group, for every principal that may read it; Logs Insights asks for the reader's own right.
  statement {
    sid       = "DecryptLogGroups"
    actions   = ["kms:Decrypt"]
    resources = ["arn:${local.partition}:kms:*:${local.account_id}:key/*"]

    condition {
      test     = "ForAnyValue:StringEquals"
      variable = "kms:ResourceAliases"
      values   = [var.names.logs_key_alias]
    }

    condition {
      test     = "StringLike"
      variable = "kms:ViaService"
      values   = ["logs.*.${data.aws_partition.current.dns_suffix}"]
    }
  }

  dynamic "statement" {
    for_each = local.log_bucket_arn[*]

    content {
      sid       = "ListLogObjects"
      actions   = ["s3:ListBucket"]
      resources = [statement.value]

      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = [local.log_prefix]
      }
    }
  }

  # Whether logs are encrypted, and where the bucket is.
  dynamic "statement" {
    for_each = local.log_bucket_arn[*]

    content {
      sid       = "ReadLogBucket"
      actions   = ["s3:GetBucketLocation", "s3:GetEncryptionConfiguration"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = local.log_bucket_arn[*]

    content {
      sid       = "ReadLogObjects"
      actions   = ["s3:GetObject", "s3:GetObjectVersion"]
      resources = ["${statement.value}/${local.log_prefix}"]
    }
  }

  dynamic "statement" {
    for_each = local.log_bucket_key_arn[*]

    content {
      sid       = "DecryptLogObjects"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        values   = ["s3.*.${data.aws_partition.current.dns_suffix}"]
      }
    }
  }

  statement {
    sid = "ReadPreferences"

    actions = [
      "ssm:DescribeDocument",
      "ssm:DescribeDocumentPermission",
      "ssm:GetDocument",
      "ssm:ListDocumentVersions",
    ]

    resources = ["arn:${local.partition}:ssm:*:${local.account_id}:document/${var.names.document}"]
  }

  # AWS Config gives rules random ids, so the rule cannot be named.
  statement {
    sid       = "ReadComplianceDetails"
    actions   = ["config:GetComplianceDetailsByConfigRule"]
    resources = ["arn:${local.partition}:config:*:${local.account_id}:config-rule/*"]
  }

  # List calls without resource-level permissions.
  statement {
    sid = "FindSessionsAndCompliance"

    actions = [
      "config:DescribeComplianceByConfigRule",
      "config:DescribeConfigRules",
      "config:GetComplianceSummaryByConfigRule",
      "logs:DescribeLogGroups",
      "ssm:DescribeInstanceInformation",
      "ssm:DescribeSessions",
    ]

    resources = ["*"]
  }

  statement {
    sid     = "ReadConnectionStatus"
    actions = ["ssm:GetConnectionStatus"]

    resources = [
      "arn:${local.partition}:ec2:*:${local.account_id}:instance/*",
      "arn:${local.partition}:ssm:*:${local.account_id}:managed-instance/*",
    ]
  }
}

resource "aws_iam_policy" "auditor" {
  count = var.auditor.enabled ? 1 : 0

  name        = var.auditor.policy_name
  path        = var.path
  description = "Session Manager: read session logs, preferences and compliance."
  policy      = data.aws_iam_policy_document.auditor.json

  tags = var.tags

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.auditor.minified_json) <= local.longest_policy
      error_message = "The policy ${var.auditor.policy_name} would have ${length(data.aws_iam_policy_document.auditor.minified_json)} characters and IAM takes ${local.longest_policy}: shorten the names."
    }
  }
}

resource "aws_iam_role_policy_attachment" "auditor" {
  for_each = var.auditor.enabled ? var.auditor.attach_to_roles : []

  role       = each.value
  policy_arn = aws_iam_policy.auditor[0].arn
}
