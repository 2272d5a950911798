# Names of the services in China, by the list of aws-cdk's vpc-endpoint.ts; nothing emulates that partition here.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "cn-north-1" }
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
    defaults = { vpc_id = "vpc-0a1b2c3d", availability_zone = "cn-north-1a" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_vpc_endpoint" {
    defaults = { vpc_id = "vpc-0a1b2c3d", service_name = "cn.com.amazonaws.cn-north-1.ec2", vpc_endpoint_type = "Interface", private_dns_enabled = true }
  }
}

variables {
  organization_id = "o-exampleorgid"
  vpc_id          = "vpc-0a1b2c3d"
  subnet_ids      = ["subnet-0a1b2c3d"]
  route_table_ids = ["rtb-0a1b2c3d"]
}

run "names" {
  command = plan

  module {
    source = "./modules/vpc_endpoints"
  }

  assert {
    condition = jsonencode({ for service, endpoint in aws_vpc_endpoint.interface : service => endpoint.service_name }) == jsonencode({
      ec2         = "cn.com.amazonaws.cn-north-1.ec2"
      kms         = "com.amazonaws.cn-north-1.kms"
      logs        = "com.amazonaws.cn-north-1.logs"
      ssm         = "com.amazonaws.cn-north-1.ssm"
      ssmmessages = "com.amazonaws.cn-north-1.ssmmessages"
    })
    error_message = "The interface endpoints have other names."
  }
  assert {
    condition     = aws_vpc_endpoint.gateway["s3"].service_name == "com.amazonaws.cn-north-1.s3"
    error_message = "The gateway endpoint has another name."
  }
}

run "interface_for_s3" {
  command = plan

  module {
    source = "./modules/vpc_endpoints"
  }

  variables {
    services           = { s3 = "interface" }
    existing_endpoints = { ec2 = "vpce-0a1b2c3d" }
  }
  assert {
    condition     = aws_vpc_endpoint.interface["s3"].service_name == "cn.com.amazonaws.cn-north-1.s3" && !contains(keys(aws_vpc_endpoint.interface), "ec2")
    error_message = "The interface endpoint of S3 has another name, or the one for EC2 is not recognised."
  }
}
