# A document that is deleted, changed, moved back to an earlier version or shared by somebody else is put right: at once when
# CloudTrail reports the call, and by the clock.

locals {
  drift_repair_count = var.drift_repair.enabled ? 1 : 0
  schedule_count     = var.drift_repair.enabled && var.drift_repair.schedule != "" ? 1 : 0

  # SQS takes half a minute to make a queue: what only needs its name does not wait for it.
  failures_queue_name = "${var.names.function}-failures"
  failures_queue_arn  = "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${local.failures_queue_name}"

  notify_topic_arns = [for arn in var.drift_repair.notify_topic_arn[*] : arn if var.drift_repair.enabled]

  repair = merge(local.wanted, { action = "reconcile", notify_topic_arn = one(local.notify_topic_arns) })

  # What EventBridge fills in. It stands outside of jsonencode, which writes the < of a preference as \u003c: none can pose as a
  # variable. Within quotes a value that is missing becomes an empty text.
  cause_paths = {
    event_id   = "$.detail.eventID"
    event_name = "$.detail.eventName"
    principal  = "$.detail.userIdentity.arn"
    time       = "$.detail.eventTime"
  }
  cause             = "\"cause\":{${join(",", [for name in keys(local.cause_paths) : "\"${name}\":\"<${name}>\""])}}"
  repair_with_cause = "${trimsuffix(jsonencode(local.repair), "}")},${local.cause}}"

  # The same length is known at plan time, when the key has no id yet.
  repair_at_plan = merge(local.repair, {
    preferences = merge(local.preferences, {
      kmsKeyId = (
        local.creates_session_key
        ? "arn:${local.partition}:kms:${local.region}:${local.account_id}:key/00000000-0000-0000-0000-000000000000"
        : var.session_key.kms_key_arn
      )
    })
  })
  repair_length = length("${jsonencode(local.repair_at_plan)},${local.cause}")
}

# Of calls that changed the document, made by anybody but the function: its own writes need no repair. Calls of AWS services
# have no ARN.
resource "aws_cloudwatch_event_rule" "api_calls" {
  count = local.drift_repair_count

  name        = "${var.names.function}-api-calls"
  description = "Calls that changed the preferences document of Session Manager, and were not made by the function that keeps it."

  event_pattern = jsonencode({
    source      = ["aws.ssm"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource       = ["ssm.amazonaws.com"]
      eventName         = ["CreateDocument", "UpdateDocument", "DeleteDocument", "UpdateDocumentDefaultVersion", "ModifyDocumentPermission"]
      errorCode         = [{ exists = false }]
      requestParameters = { name = [var.names.document] }
      userIdentity = {
        arn = [
          { anything-but = { prefix = "arn:${local.partition}:sts::${local.account_id}:assumed-role/${aws_iam_role.function.name}/" } },
          { exists = false },
        ]
      }
    }
  })

  tags = var.tags
}

resource "aws_cloudwatch_event_rule" "schedule" {
  count = local.schedule_count

  name                = "${var.names.function}-schedule"
  description         = "When to look whether the preferences document of Session Manager is as it is wanted."
  schedule_expression = var.drift_repair.schedule

  tags = var.tags
}

# Made after the first invocation, which records what was there before, and destroyed before the last, which gives it back.
resource "aws_cloudwatch_event_target" "api_calls" {
  count = local.drift_repair_count

  rule = aws_cloudwatch_event_rule.api_calls[0].name
  arn  = aws_lambda_function.this.arn

  input_transformer {
    input_paths    = local.cause_paths
    input_template = local.repair_with_cause
  }

  lifecycle {
    precondition {
      condition     = local.repair_length <= 8192
      error_message = "The preferences make an event of ${local.repair_length} characters and EventBridge takes 8192: shorten the shell_profile, or set drift_repair.enabled to false."
    }
  }

  depends_on = [aws_lambda_invocation.this, aws_lambda_permission.api_calls]
}

resource "aws_cloudwatch_event_target" "schedule" {
  count = local.schedule_count

  rule  = aws_cloudwatch_event_rule.schedule[0].name
  arn   = aws_lambda_function.this.arn
  input = jsonencode(local.repair)

  depends_on = [aws_lambda_invocation.this, aws_lambda_permission.schedule]
}

resource "aws_lambda_permission" "api_calls" {
  count = local.drift_repair_count

  statement_id  = "ApiCalls"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.api_calls[0].arn
}

resource "aws_lambda_permission" "schedule" {
  count = local.schedule_count

  statement_id  = "Schedule"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.schedule[0].arn
}

# An old event holds old preferences, so it is given up early.
resource "aws_lambda_function_event_invoke_config" "this" {
  count = local.drift_repair_count

  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 900

  destination_config {
    on_failure {
      destination = aws_sqs_queue.failures[0].arn
    }
  }

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_sqs_queue" "failures" {
  #checkov:skip=CKV2_AWS_73:AWS's key for SQS is of use to principals of this account that may use the queue only. A key of its own in every region would protect nothing more, and the logs key may be missing or somebody else's.
  count = local.drift_repair_count

  name                      = local.failures_queue_name
  message_retention_seconds = 1209600
  kms_master_key_id         = "alias/aws/sqs"
  policy                    = data.aws_iam_policy_document.failures.json

  tags = var.tags
}

data "aws_iam_policy_document" "failures" {
  statement {
    sid       = "EncryptedTransportOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [local.failures_queue_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # A forged failure would hide a real one, or raise a false alarm.
  statement {
    sid       = "FailuresOfTheFunctionOnly"
    effect    = "Deny"
    actions   = ["sqs:SendMessage"]
    resources = [local.failures_queue_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnNotEquals"
      variable = "aws:PrincipalArn"
      values   = [aws_iam_role.function.arn]
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "failures" {
  count = local.drift_repair_count

  alarm_name          = local.failures_queue_name
  alarm_description   = "A repair of the preferences document of Session Manager failed, or nobody could be told of it: the messages of the queue ${local.failures_queue_name} say why. Delete them when that is mended."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = local.failures_queue_name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.notify_topic_arns

  tags = var.tags
}
