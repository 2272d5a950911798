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
  home_region = "eu-west-1"
  policy_arn  = "arn:aws:iam::111122223333:policy/SessionManagerLogPolicy"
}

run "the_rule_comes_with_its_remediation_which_is_not_automatic" {
  command = plan

  assert {
    condition     = aws_config_remediation_configuration.this.config_rule_name == aws_config_config_rule.this.name
    error_message = "The remediation must be that of the rule."
  }

  assert {
    condition     = aws_config_remediation_configuration.this.automatic == false
    error_message = "Roles are changed by hand unless auto_remediation is set."
  }
}

run "the_rule_names_the_required_policy" {
  command = plan

  assert {
    condition     = strcontains(aws_config_config_rule.this.source[0].custom_policy_details[0].policy_text, var.policy_arn)
    error_message = "The Guard rule must look for the policy of this account."
  }
}

run "a_rule_outside_of_the_home_region_is_refused" {
  command = plan

  variables {
    home_region = "us-east-1"
  }

  expect_failures = [aws_config_config_rule.this]
}

run "a_policy_of_another_account_is_refused" {
  command = plan

  variables {
    policy_arn = "arn:aws:iam::444455556666:policy/SessionManagerLogPolicy"
  }

  expect_failures = [aws_config_config_rule.this]
}
