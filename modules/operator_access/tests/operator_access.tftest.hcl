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
  operator = {
    instance_tags = { session-access = ["operators"] }
  }
}

run "both_policies_are_planned_and_attached_to_nothing" {
  command = plan

  assert {
    condition     = length(aws_iam_policy.operator) == 1 && length(aws_iam_policy.auditor) == 1
    error_message = "There must be a policy for operators and one for auditors."
  }

  assert {
    condition     = length(aws_iam_role_policy_attachment.operator) == 0 && length(aws_iam_role_policy_attachment.auditor) == 0
    error_message = "Without attach_to_roles, nothing is attached."
  }
}

run "the_policies_are_attached_to_the_named_roles" {
  command = plan

  variables {
    operator = {
      instance_tags   = { session-access = ["operators"] }
      attach_to_roles = ["operators"]
    }

    auditor = {
      attach_to_roles = ["auditors"]
    }
  }

  assert {
    condition     = keys(aws_iam_role_policy_attachment.operator) == ["operators"] && keys(aws_iam_role_policy_attachment.auditor) == ["auditors"]
    error_message = "Each role gets the policy of its kind."
  }
}

run "operators_without_tags_could_open_every_instance_and_are_refused" {
  command = plan

  variables {
    operator = {}
  }

  expect_failures = [var.operator]
}
