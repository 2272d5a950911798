provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# Who may assume the roles is up to the account: whom its own policies let.
data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "PrincipalsOfThisAccount"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

resource "aws_iam_role" "this" {
  for_each = toset(["operators", "auditors"])

  name               = "session-manager-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

# Sessions on tagged instances of one region; ports are not forwarded.
module "operator_access" {
  source = "../../modules/operator_access"

  regions = [var.region]

  operator = {
    instance_tags   = { session-access = ["operators"] }
    attach_to_roles = [aws_iam_role.this["operators"].name]
  }

  auditor = {
    attach_to_roles = [aws_iam_role.this["auditors"].name]
  }

  s3 = {
    bucket_name = var.log_bucket_name
  }
}
