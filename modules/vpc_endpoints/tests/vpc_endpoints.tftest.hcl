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

  mock_data "aws_vpcs" {
    defaults = { ids = ["vpc-0a1b2c3d"] }
  }

  mock_data "aws_subnets" {
    defaults = { ids = ["subnet-0a1b2c3d"] }
  }

  mock_data "aws_vpc" {
    defaults = { enable_dns_support = true, enable_dns_hostnames = true }
  }

  mock_data "aws_subnet" {
    defaults = { vpc_id = "vpc-0a1b2c3d", availability_zone = "eu-west-1a" }
  }

  mock_data "aws_vpc_endpoint" {
    defaults = { vpc_id = "vpc-0a1b2c3d", service_name = "com.amazonaws.eu-west-1.ec2", vpc_endpoint_type = "Interface", private_dns_enabled = true }
  }
}

variables {
  organization_id = "o-exampleorgid"
  vpc_id          = "vpc-0a1b2c3d"
  subnet_ids      = ["subnet-0a1b2c3d"]
  route_table_ids = ["rtb-0a1b2c3d"]
}

run "every_service_of_a_session_gets_an_endpoint" {
  command = plan

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["ec2", "kms", "logs", "ssm", "ssmmessages"]) && keys(aws_vpc_endpoint.gateway) == ["s3"]
    error_message = "Without one of them, sessions or their logs fail in a VPC without internet access."
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "The agent finds the endpoints by the services' own names."
  }
}

run "an_endpoint_that_exists_is_not_made_again" {
  command = plan

  variables {
    existing_endpoints = { ec2 = "vpce-0a1b2c3d" }
  }

  assert {
    condition     = !contains(keys(aws_vpc_endpoint.interface), "ec2")
    error_message = "The existing endpoint must be left alone."
  }
}

run "an_organization_is_named_by_its_id" {
  command = plan

  variables {
    organization_id = "example"
  }

  expect_failures = [var.organization_id]
}
