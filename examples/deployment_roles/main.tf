provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

data "aws_caller_identity" "current" {}

# In the account whose credentials run the rollout, usually the management account.
module "ci" {
  source = "../../modules/deployment_roles"

  ci = {
    plan_subjects = [
      "repo:${var.repository}:pull_request",
      "repo:${var.repository}:environment:rollout-plan",
    ]
    apply_subjects = [
      "repo:${var.repository}:environment:rollout-canary",
      "repo:${var.repository}:environment:rollout-everyone",
    ]
    organization_id = var.organization_id
    state_bucket    = "session-manager-state-${data.aws_caller_identity.current.account_id}"
  }
}

# In every account, here in the same one. The role that applies plans, too.
module "member" {
  source = "../../modules/deployment_roles"

  member = {
    trusted_by_read_role       = values(module.ci.ci_role_arns)
    trusted_by_deployment_role = [module.ci.ci_role_arns["apply"]]
  }
}
