locals {
  package                 = "${path.module}/lambda.zip"
  package_digest          = filebase64sha256(local.package)
  function_log_group_name = "/aws/lambda/${var.names.function}"

  # Merging keeps destinations and keys that no plan knows, and a log group that exists already may have any key.
  merges             = var.adopt == "merge"
  any_key            = local.merges || (local.logs_to_cloudwatch && !local.manages_log_group && var.cloudwatch.kms_key_arn == null)
  key_arns_to_check  = local.any_key ? ["arn:${local.partition}:kms:${local.region}:*:key/*"] : local.named_keys
  named_keys         = concat(local.session_key_arn[*], local.logs_to_cloudwatch ? local.logs_key_arn[*] : [])
  checks_named_keys  = var.session_key.enabled || (local.logs_to_cloudwatch && var.cloudwatch.encryption_enabled)
  parameters         = "${local.ssm_arn}:parameter/session-manager"
  applied_parameters = "${local.parameters}/applied-preferences"

  ssm_arn = "arn:${local.partition}:ssm:${local.region}:${local.account_id}"
}

# Created before the function, which would otherwise create it on its first run, without retention and key.
resource "aws_cloudwatch_log_group" "function" {
  name              = local.function_log_group_name
  retention_in_days = var.function.log_retention_in_days
  kms_key_id        = local.logs_key_arn

  tags = var.tags
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:Failures of asynchronous calls go to the queue of drift_repair.tf, with their cause; Terraform's calls are synchronous.
  #checkov:skip=CKV_AWS_117:It calls regional AWS APIs only; in a VPC it would need an endpoint for each and protect nothing more.
  #checkov:skip=CKV_AWS_272:The package is committed and Terraform uploads exactly its digest; a signing profile would be a dependency of every account.
  function_name                  = var.names.function
  description                    = "Writes the Session Manager preferences document and repairs drift."
  role                           = aws_iam_role.function.arn
  runtime                        = "python3.13"
  handler                        = "session_preferences.handler.lambda_handler"
  filename                       = local.package
  source_code_hash               = local.package_digest
  memory_size                    = 256
  timeout                        = 420
  reserved_concurrent_executions = coalesce(var.function.reserved_concurrent_executions, -1)

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function.name
  }

  tracing_config {
    mode = "Active"
  }

  tags = var.tags

  depends_on = [aws_iam_role_policy.function]
}

data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "FunctionsOfThisAccount"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

data "aws_iam_policy_document" "function" {
  statement {
    sid = "KeepDocument"

    actions = [
      "ssm:CreateDocument",
      "ssm:DeleteDocument",
      "ssm:DescribeDocument",
      "ssm:DescribeDocumentPermission",
      "ssm:GetDocument",
      "ssm:ListDocumentVersions",
      "ssm:ModifyDocumentPermission",
      "ssm:UpdateDocument",
      "ssm:UpdateDocumentDefaultVersion",
    ]

    resources = ["${local.ssm_arn}:document/${var.names.document}"]
  }

  # The original document, to be restored on destroy, and the settings of the last apply, from which drift is repaired.
  statement {
    sid       = "KeepRecords"
    actions   = ["ssm:DeleteParameter", "ssm:GetParameter", "ssm:GetParameters", "ssm:PutParameter"]
    resources = ["${local.parameters}/original-document", local.applied_parameters, "${local.applied_parameters}/*"]
  }

  # Long shell profiles are stored in parts.
  statement {
    sid       = "ListPartsOfSettings"
    actions   = ["ssm:GetParametersByPath"]
    resources = [local.applied_parameters, "${local.applied_parameters}/*"]
  }

  # logs:DescribeLogGroups has no resource-level permissions.
  dynamic "statement" {
    for_each = local.logs_to_cloudwatch || local.merges ? [true] : []

    content {
      sid       = "CheckLogGroup"
      actions   = ["logs:DescribeLogGroups"]
      resources = ["*"]
    }
  }

  # Merging keeps any bucket that the document names, also of other accounts. Only its encryption settings are read.
  dynamic "statement" {
    for_each = local.merges ? ["*"] : var.s3.enabled ? [var.s3.bucket_name] : []

    content {
      sid       = "CheckBucket"
      actions   = ["s3:GetEncryptionConfiguration"]
      resources = ["arn:${local.partition}:s3:::${statement.value}"]
    }
  }

  # Of keys only the state is read.
  dynamic "statement" {
    for_each = local.any_key || local.checks_named_keys ? [true] : []

    content {
      sid       = "CheckKeys"
      actions   = ["kms:DescribeKey"]
      resources = local.key_arns_to_check
    }
  }

  # KMS follows an alias late as a condition of policies. As long, instances that may use the key by its alias could not: so
  # may not the function look at the key, and asks again before the document names it.
  # https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
  dynamic "statement" {
    for_each = aws_kms_key.session_data

    content {
      sid       = "WaitForAlias"
      effect    = "Deny"
      actions   = ["kms:DescribeKey"]
      resources = [statement.value.arn]

      condition {
        test     = "ForAllValues:StringNotEquals"
        variable = "kms:ResourceAliases"
        values   = [var.names.data_key_alias]
      }
    }
  }

  # Lambda sends failed events with the permissions of the function.
  dynamic "statement" {
    for_each = var.drift_repair.enabled ? [local.failures_queue_arn] : []

    content {
      sid       = "KeepFailures"
      actions   = ["sqs:SendMessage"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = local.notify_topic_arns

    content {
      sid       = "NotifyOfRepairs"
      actions   = ["sns:Publish"]
      resources = [statement.value]
    }
  }

  # The topic may be encrypted with any key of its account: only through SNS, and only for this topic.
  dynamic "statement" {
    for_each = local.notify_topic_arns

    content {
      sid       = "EncryptForTopic"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = ["arn:${local.partition}:kms:${local.region}:${split(":", statement.value)[4]}:key/*"]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["sns.${local.region}.${data.aws_partition.current.dns_suffix}"]
      }

      condition {
        test     = "StringEquals"
        variable = "kms:EncryptionContext:aws:sns:topicArn"
        values   = [statement.value]
      }
    }
  }

  statement {
    sid       = "WriteOwnLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${local.function_log_group_name}:*"]
  }

  # These actions have no resource-level permissions.
  statement {
    sid       = "WriteTraces"
    actions   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    resources = ["*"]
  }
}

# IAM is global and every region has a function: the region keeps the names apart.
resource "aws_iam_role" "function" {
  name               = "${var.names.function}-${local.region}"
  description        = "Assumed by the function that writes the Session Manager preferences in ${local.region}."
  assume_role_policy = data.aws_iam_policy_document.trust.json

  tags = var.tags
}

resource "aws_iam_role_policy" "function" {
  name   = "${var.names.function}-${local.region}"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.function.json
}
