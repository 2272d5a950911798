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
  exempt_role_arns = ["arn:aws:iam::*:role/break-glass"]
}

run "without_targets_only_the_text_is_given" {
  command = plan

  assert {
    condition     = length(aws_organizations_policy.this) == 0 && output.scp_json == "{}"
    error_message = "With an empty attach_to nothing is created."
  }
}

run "the_policy_is_attached_to_each_target" {
  command = plan

  variables {
    attach_to = ["ou-abcd-12345678", "ou-abcd-87654321"]
  }

  assert {
    condition     = length(aws_organizations_policy_attachment.this) == 2 && aws_organizations_policy.this[0].type == "SERVICE_CONTROL_POLICY"
    error_message = "One service control policy must be attached to both units."
  }
}

run "the_boundary_is_created_where_it_is_wanted" {
  command = plan

  variables {
    boundary = { enabled = true }
  }

  assert {
    condition     = aws_iam_policy.boundary[0].name == "SessionManagerBoundary"
    error_message = "The boundary must have the documented name."
  }
}

run "a_target_that_is_none_of_the_organization_is_refused" {
  command = plan

  variables {
    attach_to = ["Workloads"]
  }

  expect_failures = [var.attach_to]
}
