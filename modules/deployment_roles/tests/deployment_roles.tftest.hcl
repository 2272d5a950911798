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

run "nothing_is_created_by_default" {
  command = plan

  assert {
    condition     = length(aws_iam_role.ci) == 0 && length(aws_iam_role.member) == 0
    error_message = "Both kinds of roles must be asked for."
  }
}

run "a_member_gets_a_role_that_reads_and_one_that_changes" {
  command = plan

  variables {
    member = {
      trusted_by_read_role       = ["arn:aws:iam::111122223333:role/session-manager-plan"]
      trusted_by_deployment_role = ["arn:aws:iam::111122223333:role/session-manager-apply"]
    }
  }

  assert {
    condition     = toset([for role in aws_iam_role.member : role.name]) == toset(["session-manager-read", "session-manager-deployment"])
    error_message = "The roles must have the documented names."
  }
}

run "a_wildcard_among_the_trusted_principals_is_refused" {
  command = plan

  variables {
    member = {
      trusted_by_read_role       = ["arn:aws:iam::*:root"]
      trusted_by_deployment_role = ["arn:aws:iam::111122223333:role/session-manager-apply"]
    }
  }

  expect_failures = [var.member]
}

run "pull_requests_may_not_apply" {
  command = plan

  variables {
    ci = {
      plan_subjects   = ["repo:example/landing-zone:pull_request"]
      apply_subjects  = ["repo:example/landing-zone:pull_request"]
      organization_id = "o-exampleorgid"
      state_bucket    = "session-manager-state-111122223333"
    }
  }

  expect_failures = [var.ci]
}
