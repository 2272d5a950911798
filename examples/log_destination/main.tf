provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# In the account that collects logs, once in each region: every account of the organization may send to it.
module "log_destination" {
  source = "../../modules/log_destination"

  name            = var.name
  organization_id = var.organization_id
  target_arn      = "arn:${data.aws_partition.current.partition}:firehose:${var.region}:${data.aws_caller_identity.current.account_id}:deliverystream/${var.delivery_stream_name}"
}
