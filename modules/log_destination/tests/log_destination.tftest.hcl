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

variables {
  organization_id = "o-exampleorgid"
  target_arn      = "arn:aws:firehose:us-east-1:111122223333:deliverystream/session-logs"
}

run "the_destination_is_in_front_of_the_stream" {
  command = plan

  assert {
    condition     = aws_cloudwatch_log_destination.this.target_arn == var.target_arn
    error_message = "The destination must send to the target."
  }

  assert {
    condition     = output.destination_arn == "arn:aws:logs:eu-west-1:111122223333:destination:session-manager-logs"
    error_message = "The ARN must be known before the destination is made."
  }
}

run "only_named_accounts_may_send_without_an_organization" {
  command = plan

  variables {
    organization_id = null
    account_ids     = ["444455556666"]
  }

  assert {
    condition     = aws_cloudwatch_log_destination_policy.this.destination_name == "session-manager-logs"
    error_message = "The destination must have a policy."
  }
}

run "a_destination_for_nobody_at_all_is_refused" {
  command = plan

  variables {
    organization_id = null
  }

  expect_failures = [var.organization_id]
}

run "a_stream_of_another_account_is_refused" {
  command = plan

  variables {
    target_arn = "arn:aws:firehose:us-east-1:999988887777:deliverystream/session-logs"
  }

  expect_failures = [aws_iam_role.this]
}

run "a_function_cannot_be_the_target_of_it" {
  command = plan

  variables {
    target_arn = "arn:aws:lambda:us-east-1:111122223333:function:siem"
  }

  expect_failures = [var.target_arn]
}
