# IAM is global: the policy and the Config rule belong to the home region. Preferences, keys and log groups are regional: each
# region has a call of the module with a provider of its own, because a module cannot choose providers in a loop.
provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = var.tags
  }
}

provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"

  default_tags {
    tags = var.tags
  }
}

module "instance_policy" {
  source = "../../modules/instance_policy"

  session_key_regions = ["eu-west-1", "us-east-1"]
}

module "preferences_eu_west_1" {
  source = "../../modules/preferences"

  after = [module.instance_policy.policy_arn]
}

module "preferences_us_east_1" {
  source    = "../../modules/preferences"
  providers = { aws = aws.us_east_1 }

  after = [module.instance_policy.policy_arn]
}
