"""List what a plan notices and no check sees, at least not in every form: `plan --skip-clean` compares it besides.

tests/e2e/test_terraform_is_the_oracle.py changes every attribute of every resource, and holds the list.
"""

from collections.abc import Mapping

# Attributes by type of resource; of values that hold others, the place in them.
_WORDS = ("description", "tags_all")
UNSEEN: Mapping[str, tuple[str, ...]] = {
    "aws_cloudwatch_event_rule": _WORDS,
    # How long EventBridge tries; and what the function says of the cause, which decides nothing.
    "aws_cloudwatch_event_target": (
        *("input_transformer.InputPathsMap.event_id", "input_transformer.InputPathsMap.event_name"),
        *("input_transformer.InputPathsMap.principal", "input_transformer.InputPathsMap.time"),
        *("retry_policy.MaximumEventAgeInSeconds", "retry_policy.MaximumRetryAttempts"),
    ),
    "aws_cloudwatch_log_group": ("tags_all",),
    # It has one period, so that one data point is all of them; other actions notify of what is good.
    "aws_cloudwatch_metric_alarm": (
        *("alarm_description", "datapoints_to_alarm", "insufficient_data_actions", "ok_actions", "tags_all"),
    ),
    "aws_config_config_rule": (*_WORDS, "source.CustomPolicyDetails.EnableDebugLogDelivery"),
    # How many roles at a time, and how often.
    "aws_config_remediation_configuration": (
        "execution_controls.SsmControls.ConcurrentExecutionRatePercentage",
        "execution_controls.SsmControls.ErrorPercentage",
        "maximum_automatic_attempts",
        "retry_attempt_seconds",
    ),
    "aws_iam_policy": ("tags_all",),
    "aws_iam_role": (*_WORDS, "max_session_duration"),
    "aws_kms_key": _WORDS,
    "aws_lambda_function": (*_WORDS, "logging_config.LogFormat", "memory_size"),
    "aws_lambda_function_event_invoke_config": ("maximum_event_age_in_seconds", "maximum_retry_attempts"),
    "aws_organizations_policy": _WORDS,
    # Its public access stays blocked, and its policy says who reads.
    "aws_s3_bucket": ("acceleration_status", "cors_rule", "tags_all", "website"),
    # Of the rule that deletes markers without versions, which are no logs.
    "aws_s3_bucket_lifecycle_configuration": (
        "rule.Rules.Expiration.ExpiredObjectDeleteMarker",
        "rule.Rules.Filter.Prefix",
    ),
    "aws_s3_bucket_server_side_encryption_configuration": ("rule.BucketKeyEnabled",),
    "aws_sqs_queue": (
        *("delay_seconds", "kms_data_key_reuse_period_seconds", "max_message_size", "receive_wait_time_seconds"),
        *("tags_all", "visibility_timeout_seconds"),
    ),
    "aws_ssm_document": ("tags_all",),
    "aws_ssm_parameter": ("allowed_pattern", "description", "tags_all", "tier"),
}
