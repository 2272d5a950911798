# Restores a document that was deleted, changed, moved back to an earlier version or shared outside Terraform: at once on a
# CloudTrail event, and on a schedule.

locals {
  drift_repair_count = var.drift_repair.enabled ? 1 : 0
  schedule_count     = var.drift_repair.enabled && var.drift_repair.schedule != "" ? 1 : 0

  # Creating a queue takes half a minute; resources that need only its name do not wait for it.
  failures_queue_name = "${var.names.function}-failures"
  failures_queue_arn  = "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${local.failures_queue_name}"

  notify_topic_arns = [for arn in var.drift_repair.notify_topic_arn[*] : arn if var.drift_repair.enabled]

  # Events carry no preferences: the function reads those that the last apply stored, so a late event cannot bring back old ones.
  repair = merge(
    { action = "reconcile", document = var.names.document },
    { for arn in local.notify_topic_arns : "notify_topic_arn" => arn },
  )

  # EventBridge replaces the variables. Within quotes a missing value becomes an empty text. Not by jsonencode, which writes the <
  # of a variable as \u003c.
  cause_paths = {
    event_id   = "$.detail.eventID"
    event_name = "$.detail.eventName"
    principal  = "$.detail.userIdentity.arn"
    time       = "$.detail.eventTime"
  }
  cause             = "\"cause\":{${join(",", [for name in keys(local.cause_paths) : "\"${name}\":\"<${name}>\""])}}"
  repair_with_cause = "${trimsuffix(jsonencode(local.repair), "}")},${local.cause}}"

  # Seconds after which EventBridge and Lambda drop an event that could not be delivered.
  maximum_event_age = 3600
}

# The function's own writes need no repair. Calls of AWS services have no ARN. After the invocation: so that no repair runs before
# the settings are stored, and none begins while a destruction restores the document.
resource "aws_cloudwatch_event_rule" "api_calls" {
  count = local.drift_repair_count

  name        = "${var.names.function}-api-calls"
  description = "API calls other than the function's that change the Session Manager preferences document."
  state       = "ENABLED"

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

  depends_on = [aws_lambda_invocation.this]
}

resource "aws_cloudwatch_event_rule" "schedule" {
  count = local.schedule_count

  name                = "${var.names.function}-schedule"
  description         = "Schedule of the drift check of the Session Manager preferences."
  schedule_expression = var.drift_repair.schedule
  state               = "ENABLED"

  tags = var.tags

  depends_on = [aws_lambda_invocation.this]
}

resource "aws_cloudwatch_event_target" "api_calls" {
  count = local.drift_repair_count

  rule = aws_cloudwatch_event_rule.api_calls[0].name
  arn  = aws_lambda_function.this.arn

  input_transformer {
    input_paths    = local.cause_paths
    input_template = local.repair_with_cause
  }

  retry_policy {
    maximum_event_age_in_seconds = local.maximum_event_age
    maximum_retry_attempts       = 20
  }

  depends_on = [aws_lambda_invocation.this, aws_lambda_function_event_invoke_config.this, aws_lambda_permission.api_calls]
}

resource "aws_cloudwatch_event_target" "schedule" {
  count = local.schedule_count

  rule  = aws_cloudwatch_event_rule.schedule[0].name
  arn   = aws_lambda_function.this.arn
  input = jsonencode(merge(local.repair, { destinations = true }))

  # The next run is due soon.
  retry_policy {
    maximum_event_age_in_seconds = local.maximum_event_age
    maximum_retry_attempts       = 20
  }

  depends_on = [aws_lambda_invocation.this, aws_lambda_function_event_invoke_config.this, aws_lambda_permission.schedule]
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

resource "aws_lambda_function_event_invoke_config" "this" {
  count = local.drift_repair_count

  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = local.maximum_event_age

  destination_config {
    on_failure {
      destination = aws_sqs_queue.failures[0].arn
    }
  }

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_sqs_queue" "failures" {
  #checkov:skip=CKV2_AWS_73:AWS's key for SQS is of use to principals of this account that may use the queue only. A separate key in every region would protect nothing more, and the logs key may be missing or belong to another account.
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
  alarm_description   = "Drift repair of the Session Manager preferences failed, or found a destination that is not usable, or could not send its notification. See the messages in the queue ${local.failures_queue_name}; delete them once fixed."
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
