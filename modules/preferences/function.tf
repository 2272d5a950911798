locals {
  package                 = "${path.module}/lambda.zip"
  package_digest          = filebase64sha256(local.package)
  function_log_group_name = "/aws/lambda/${var.names.function}"

  # What the document names without being asked for here is checked, too.
  merges = var.adopt == "merge"

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
  description                    = "Keeps the preferences document of Session Manager."
  role                           = aws_iam_role.function.arn
  runtime                        = "python3.13"
  handler                        = "session_preferences.handler.lambda_handler"
  filename                       = local.package
  source_code_hash               = local.package_digest
  memory_size                    = 256
  timeout                        = 300
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

  # What was there before the first change, to be given back in the end.
  statement {
    sid       = "KeepOriginalDocument"
    actions   = ["ssm:DeleteParameter", "ssm:GetParameter", "ssm:PutParameter"]
    resources = ["${local.ssm_arn}:parameter/session-manager/original-document"]
  }

  # Whether the destinations would let sessions start. The call lists, and knows no resources.
  dynamic "statement" {
    for_each = local.logs_to_cloudwatch || local.merges ? [true] : []

    content {
      sid       = "CheckLogGroup"
      actions   = ["logs:DescribeLogGroups"]
      resources = ["*"]
    }
  }

  # Merging keeps what the document names, whichever bucket that is and whoever's: no plan knows it. Nothing is read but how
  # the bucket encrypts.
  dynamic "statement" {
    for_each = local.merges ? ["*"] : var.s3.enabled ? [var.s3.bucket_name] : []

    content {
      sid       = "CheckBucket"
      actions   = ["s3:GetEncryptionConfiguration"]
      resources = ["arn:${local.partition}:s3:::${statement.value}"]
    }
  }

  # Merging keeps a key that the document names, too, of this account or another one's. Nothing is read but the key's state.
  dynamic "statement" {
    for_each = local.merges ? ["arn:${local.partition}:kms:${local.region}:*:key/*"] : var.session_key.enabled ? [local.session_key_arn] : []

    content {
      sid       = "CheckSessionKey"
      actions   = ["kms:DescribeKey"]
      resources = [statement.value]
    }
  }

  # Lambda sends what failed with the permissions of the function.
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
      sid       = "TellOfRepairs"
      actions   = ["sns:Publish"]
      resources = [statement.value]
    }
  }

  # A topic may be encrypted with any key of its account: through SNS only, and for this topic only.
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

  # X-Ray knows no resources for these.
  statement {
    sid       = "WriteTraces"
    actions   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    resources = ["*"]
  }
}

# IAM is global and every region has a function: the region keeps the names apart.
resource "aws_iam_role" "function" {
  name               = "${var.names.function}-${local.region}"
  description        = "Assumed by the function that keeps the preferences of Session Manager in ${local.region}."
  assume_role_policy = data.aws_iam_policy_document.trust.json

  tags = var.tags
}

resource "aws_iam_role_policy" "function" {
  name   = "${var.names.function}-${local.region}"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.function.json
}
