locals {
  # The provider needs the role before it can ask AWS for the partition.
  role_partition = (
    startswith(var.region, "cn-") ? "aws-cn"
    : startswith(var.region, "us-gov-") ? "aws-us-gov"
    : startswith(var.region, "eusc-") ? "aws-eusc"
    : "aws"
  )

  # A plan reads, also the one that is saved. terraform.applying is false while resources are destroyed.
  changes = terraform.applying || var.use_deployment_role
  role    = local.changes || var.read_role == null ? var.deployment_role : var.read_role
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]
  # The endpoint of an opt-in region accepts only callers whose own account has enabled the region.
  sts_region = var.home_region

  dynamic "assume_role" {
    for_each = local.role[*]

    content {
      role_arn     = "arn:${local.role_partition}:iam::${var.account_id}:role/${assume_role.value.name}"
      external_id  = assume_role.value.external_id
      session_name = assume_role.value.session_name
      duration     = assume_role.value.duration
    }
  }

  default_tags {
    tags = var.tags
  }
}
