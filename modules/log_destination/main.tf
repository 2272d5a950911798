data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = lookup(data.aws_region.current, "region", lookup(data.aws_region.current, "name", null))

  # Known before the destination is made: its policy names it.
  destination_arn = "arn:${local.partition}:logs:${local.region}:${local.account_id}:destination:${var.name}"

  service = split(":", var.target_arn)[2]
  actions = { kinesis = "kinesis:PutRecord", firehose = "firehose:PutRecord" }

  role_name = "${var.name}-${local.region}"
}

data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "CloudWatchLogsOfThisRegion"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["logs.amazonaws.com"]
    }

    # Also for log groups of the accounts that send: who may send is decided by the policy of the destination.
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:logs:${local.region}:*:*"]
    }
  }
}

data "aws_iam_policy_document" "send" {
  statement {
    sid       = "SendToTarget"
    actions   = [local.actions[local.service]]
    resources = [var.target_arn]
  }

  # Who writes to an encrypted stream encrypts with its key.
  dynamic "statement" {
    for_each = var.target_kms_key_arn[*]

    content {
      sid       = "EncryptForTarget"
      actions   = ["kms:GenerateDataKey"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["${local.service}.${split(":", var.target_arn)[3]}.${data.aws_partition.current.dns_suffix}"]
      }
    }
  }
}

resource "aws_iam_role" "this" {
  name               = local.role_name
  description        = "Assumed by CloudWatch Logs to send the session logs of other accounts to ${var.target_arn}."
  assume_role_policy = data.aws_iam_policy_document.trust.json

  tags = var.tags

  lifecycle {
    precondition {
      condition     = split(":", var.target_arn)[4] == local.account_id
      error_message = "The target_arn is in account ${split(":", var.target_arn)[4]}, but a destination sends to a stream of its own account, ${local.account_id}."
    }
  }
}

resource "aws_iam_role_policy" "this" {
  name   = local.role_name
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.send.json
}

# CloudWatch Logs sends a test message when the destination is made.
resource "aws_cloudwatch_log_destination" "this" {
  name       = var.name
  role_arn   = aws_iam_role.this.arn
  target_arn = var.target_arn

  tags = var.tags

  depends_on = [aws_iam_role_policy.this]
}

data "aws_iam_policy_document" "senders" {
  dynamic "statement" {
    for_each = var.organization_id[*]

    content {
      sid       = "AccountsOfTheOrganization"
      actions   = ["logs:PutSubscriptionFilter"]
      resources = [local.destination_arn]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:PrincipalOrgID"
        values   = [statement.value]
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.account_ids) > 0 ? [true] : []

    content {
      sid       = "NamedAccounts"
      actions   = ["logs:PutSubscriptionFilter"]
      resources = [local.destination_arn]

      principals {
        type        = "AWS"
        identifiers = sort(var.account_ids)
      }
    }
  }
}

resource "aws_cloudwatch_log_destination_policy" "this" {
  destination_name = aws_cloudwatch_log_destination.this.name
  access_policy    = data.aws_iam_policy_document.senders.json

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.senders.minified_json) <= 5120
      error_message = "The policy of the destination ${var.name} would be longer than the 5120 bytes that CloudWatch Logs accepts: give it fewer account_ids, or the organization_id."
    }
  }
}
