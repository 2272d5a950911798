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

run "a_policy_of_the_given_name_is_planned_and_attached_to_nothing" {
  command = plan

  assert {
    condition     = aws_iam_policy.this.name == "SessionManagerLogPolicy" && aws_iam_policy.this.path == "/"
    error_message = "The policy must have the documented name and path."
  }

  assert {
    condition     = length(aws_iam_role_policy_attachment.this) == 0
    error_message = "Without attach_to_roles, nothing is attached."
  }
}

run "the_policy_is_attached_to_each_named_role" {
  command = plan

  variables {
    attach_to_roles = ["web", "batch"]
  }

  assert {
    condition     = toset(keys(aws_iam_role_policy_attachment.this)) == toset(["web", "batch"])
    error_message = "Each role gets one attachment, keyed by its name."
  }
}

run "a_role_with_its_path_is_refused" {
  command = plan

  variables {
    attach_to_roles = ["application/web"]
  }

  expect_failures = [var.attach_to_roles]
}

run "the_alias_of_a_key_is_no_arn_of_a_key" {
  command = plan

  variables {
    session_key_arns = ["arn:aws:kms:eu-west-1:111122223333:alias/session-manager/data"]
  }

  expect_failures = [var.session_key_arns]
}
