provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

module "instance_policy" {
  source = "../../modules/instance_policy"
}

# Flags the roles of instances that do not have the policy, and attaches it.
module "config_rule" {
  source = "../../modules/config_rule"

  home_region      = var.region
  policy_arn       = module.instance_policy.policy_arn
  auto_remediation = var.auto_remediation
}

# `after`: sessions fail on instances that may not write logs or decrypt data, so the preferences come last and go first.
module "preferences" {
  source = "../../modules/preferences"

  after = [module.instance_policy.policy_arn]
}
