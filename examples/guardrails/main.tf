provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

data "aws_partition" "current" {}

# Everything is denied that can be; a few people of the database team may forward ports all the same.
module "guardrails" {
  source = "../../modules/guardrails"

  attach_to                  = var.attach_to
  exempt_role_arns           = [for name in var.exempt_roles : "arn:${data.aws_partition.current.partition}:iam::*:role/${name}"]
  unlogged_session_role_arns = ["arn:${data.aws_partition.current.partition}:iam::*:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_DatabaseSupport_*"]
}
