# What happens to the session logs within CloudWatch Logs: masking, and a copy that is sent on.

locals {
  subscription = var.cloudwatch.subscription
  # A name that waits for the group where it is created.
  log_group_name = try(aws_cloudwatch_log_group.sessions[0].name, var.cloudwatch.log_group_name)
  sessions_arn   = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${var.cloudwatch.log_group_name}"

  subscribed_service         = try(split(":", local.subscription.destination_arn)[2], "")
  subscribed_account_id      = try(split(":", local.subscription.destination_arn)[4], "")
  creates_subscription_role  = local.subscription != null && local.subscribed_service != "lambda" && try(local.subscription.role_arn, null) == null
  subscription_role_name     = "${var.names.function}-logs-${local.region}"
  subscription_role_services = { kinesis = "kinesis:PutRecord", firehose = "firehose:PutRecord" }

  protection = var.cloudwatch.data_protection

  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/protect-sensitive-log-data-types-credentials.html
  credentials = ["AwsSecretKey", "OpenSshPrivateKey", "PgpPrivateKey", "PkcsPrivateKey", "PuttyPrivateKey"]

  managed_identifiers = local.protection == null ? [] : sort(setunion(local.protection.credentials ? local.credentials : [], local.protection.identifiers))
  custom_identifiers  = local.protection == null ? {} : local.protection.custom_identifiers

  # Both statements must name the same identifiers.
  masked = concat(
    [for name in local.managed_identifiers : "arn:${local.partition}:dataprotection::aws:data-identifier/${name}"],
    sort(keys(local.custom_identifiers)),
  )

  findings_destination = local.protection == null ? {} : {
    for service, destination in {
      CloudWatchLogs = { LogGroup = local.protection.findings_destination.log_group_name }
      Firehose       = { DeliveryStream = local.protection.findings_destination.delivery_stream_name }
      S3             = { Bucket = local.protection.findings_destination.bucket_name }
    } : service => destination if one(values(destination)) != null
  }
}

resource "aws_cloudwatch_log_data_protection_policy" "sessions" {
  count = local.protection != null ? 1 : 0

  log_group_name = local.log_group_name

  policy_document = jsonencode(merge(
    {
      Name    = "session-manager"
      Version = "2021-06-01"
      Statement = [
        {
          Sid            = "Audit"
          DataIdentifier = local.masked
          Operation      = { Audit = { FindingsDestination = local.findings_destination } }
        },
        {
          Sid            = "Mask"
          DataIdentifier = local.masked
          Operation      = { Deidentify = { MaskConfig = {} } }
        },
      ]
    },
    length(local.custom_identifiers) == 0 ? {} : {
      Configuration = {
        CustomDataIdentifier = [for name, expression in local.custom_identifiers : { Name = name, Regex = expression }]
      }
    },
  ))
}

resource "aws_cloudwatch_log_subscription_filter" "sessions" {
  count = local.subscription != null ? 1 : 0

  name            = local.subscription.name
  log_group_name  = local.log_group_name
  filter_pattern  = local.subscription.filter_pattern
  destination_arn = local.subscription.destination_arn
  distribution    = local.subscription.distribution
  role_arn        = try(aws_iam_role.subscription[0].arn, local.subscription.role_arn)

  # CloudWatch Logs tries the role when the filter is made. And what is to be masked is masked in the copy, too.
  depends_on = [aws_iam_role_policy.subscription, aws_cloudwatch_log_data_protection_policy.sessions]

  lifecycle {
    precondition {
      condition     = local.subscribed_service == "logs" || local.subscribed_account_id == local.account_id
      error_message = "The cloudwatch.subscription.destination_arn is in account ${local.subscribed_account_id}: only a CloudWatch Logs destination, as modules/log_destination makes it, may be in another account than ${local.account_id}."
    }
  }
}

data "aws_iam_policy_document" "subscription_trust" {
  statement {
    sid     = "CloudWatchLogsOfThisAccount"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["logs.amazonaws.com"]
    }

    # AWS documents this condition for streams, and none for the role of a destination in another account.
    dynamic "condition" {
      for_each = local.subscribed_service == "logs" ? [] : [true]

      content {
        test     = "ArnLike"
        variable = "aws:SourceArn"
        values   = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:*"]
      }
    }
  }
}

data "aws_iam_policy_document" "subscription" {
  # With this role CloudWatch Logs finds out whether the account may send to a destination that is open to an organization.
  dynamic "statement" {
    for_each = local.subscribed_service == "logs" ? [true] : []

    content {
      sid       = "SendFromLogGroup"
      actions   = ["logs:PutLogEvents"]
      resources = ["${local.sessions_arn}:*"]
    }
  }

  dynamic "statement" {
    for_each = contains(keys(local.subscription_role_services), local.subscribed_service) ? [true] : []

    content {
      sid       = "SendToStream"
      actions   = [local.subscription_role_services[local.subscribed_service]]
      resources = [local.subscription.destination_arn]
    }
  }
}

resource "aws_iam_role" "subscription" {
  count = local.creates_subscription_role ? 1 : 0

  name               = local.subscription_role_name
  description        = "Assumed by CloudWatch Logs to send Session Manager's session logs of ${local.region} on."
  assume_role_policy = data.aws_iam_policy_document.subscription_trust.json

  tags = var.tags
}

resource "aws_iam_role_policy" "subscription" {
  count = local.creates_subscription_role ? 1 : 0

  name   = local.subscription_role_name
  role   = aws_iam_role.subscription[0].id
  policy = data.aws_iam_policy_document.subscription.json
}
