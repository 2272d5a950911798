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
}

run "the_bucket_is_private_versioned_and_named_after_account_and_region" {
  command = plan

  assert {
    condition     = output.bucket_name == "session-manager-logs-111122223333-eu-west-1"
    error_message = "The name must be unique without being random."
  }

  assert {
    condition     = aws_s3_bucket_versioning.this[0].versioning_configuration[0].status == "Enabled"
    error_message = "Deleted logs must be recoverable."
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.this[0].restrict_public_buckets && aws_s3_bucket_public_access_block.this[0].block_public_policy
    error_message = "The bucket must be private."
  }
}

run "an_existing_bucket_is_not_changed" {
  command = plan

  variables {
    existing_bucket_name = "central-logs"
  }

  override_data {
    target = data.aws_s3_bucket.existing
    values = { region = "eu-west-1" }
  }

  assert {
    condition     = length(aws_s3_bucket.this) == 0 && length(aws_s3_bucket_policy.this) == 0
    error_message = "Nothing of an existing bucket may be managed."
  }
}

run "an_existing_bucket_of_another_region_is_refused" {
  command = plan

  variables {
    existing_bucket_name = "central-logs"
  }

  override_data {
    target = data.aws_s3_bucket.existing
    values = { region = "us-east-1" }
  }

  expect_failures = [data.aws_s3_bucket.existing]
}

run "an_organization_is_named_by_its_id" {
  command = plan

  variables {
    organization_id = "example"
  }

  expect_failures = [var.organization_id]
}
