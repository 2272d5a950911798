# Run in the folder of the module: terraform init && terraform test. Nothing is created, and no credentials are needed.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}", minified_json = "{}" }
  }
}

# With existing keys, the input of the function is known before the apply.
variables {
  session_key = {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/0f5f5b5c-cb57-4552-8153-0f5f5b5ccb57"
  }

  cloudwatch = {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1a2b3c4d-cb57-4552-8153-0f5f5b5ccb57"
  }

  check_in_plan = false
}

run "sessions_are_logged_encrypted_and_limited_by_default" {
  command = plan

  assert {
    condition     = output.preferences.cloudWatchLogGroupName == "ssm-sessionmanager-logs" && output.preferences.cloudWatchEncryptionEnabled
    error_message = "Sessions must be logged to the encrypted log group."
  }

  assert {
    condition     = output.preferences.kmsKeyId == var.session_key.kms_key_arn
    error_message = "Session data must be encrypted with the given key."
  }

  assert {
    condition     = output.preferences.idleSessionTimeout == 20 && output.preferences.maxSessionDuration == 60
    error_message = "Sessions must end after 20 idle minutes, and after 60 in any case."
  }
}

run "the_invocation_is_updated_and_never_replaced" {
  command = plan

  assert {
    condition     = aws_lambda_invocation.this.lifecycle_scope == "CRUD" && aws_lambda_invocation.this.triggers == null
    error_message = "Triggers would send a deletion before each change."
  }
}

run "drift_is_repaired_by_enabled_rules" {
  command = plan

  assert {
    condition     = aws_cloudwatch_event_rule.api_calls[0].state == "ENABLED" && aws_cloudwatch_event_rule.schedule[0].state == "ENABLED"
    error_message = "A rule whose state is not set stays disabled once it was disabled."
  }
}

run "keys_are_created_where_none_is_given" {
  command = plan

  variables {
    session_key = {}
    cloudwatch  = {}
  }

  assert {
    condition     = aws_kms_key.session_data[0].enable_key_rotation && aws_kms_key.logs[0].enable_key_rotation
    error_message = "Both keys must be created and rotated."
  }
}

run "idle_sessions_longer_than_an_hour_are_refused" {
  command = plan

  variables {
    idle_session_timeout = 61
  }

  expect_failures = [var.idle_session_timeout]
}

run "a_key_of_another_region_is_refused" {
  command = plan

  variables {
    session_key = {
      kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/0f5f5b5c-cb57-4552-8153-0f5f5b5ccb57"
    }
  }

  expect_failures = [var.session_key]
}
