provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# Roles are only flagged; `auto_remediation = true` attaches the policy as well. What the platform team owns is left alone.
module "config_rule" {
  source = "../../modules/config_rule"

  home_region = var.region
  policy_arn  = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:policy/${var.policy_name}"

  excluded_role_names = ["break-glass-*"]
  excluded_role_paths = ["/platform/"]
}
