locals {
  # The provider needs the role before it can ask AWS for the partition.
  deployment_partition = (
    startswith(var.region, "cn-") ? "aws-cn"
    : startswith(var.region, "us-gov-") ? "aws-us-gov"
    : "aws"
  )
}

provider "aws" {
  region                  = var.region
  allowed_account_ids     = [var.account_id]
  skip_metadata_api_check = true

  dynamic "assume_role" {
    for_each = var.deployment_role[*]

    content {
      role_arn     = "arn:${local.deployment_partition}:iam::${var.account_id}:role/${assume_role.value.name}"
      external_id  = assume_role.value.external_id
      session_name = assume_role.value.session_name
      duration     = assume_role.value.duration
    }
  }

  default_tags {
    tags = var.tags
  }
}
