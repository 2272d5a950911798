provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

# Log group, keys, bucket and document exist already and stay with their owners: nothing of them is created, changed or destroyed
# here, but for the document, which gets back its original text on destroy.
module "preferences" {
  source = "../../modules/preferences"

  adopt      = "merge"
  on_destroy = "restore"

  cloudwatch = {
    create_log_group = false
    log_group_name   = var.log_group_name
    kms_key_arn      = var.key_arn
  }

  session_key = {
    kms_key_arn = var.key_arn
  }
}

# The role exists, too, and gets the policy.
module "instance_policy" {
  source = "../../modules/instance_policy"

  log_group_name    = var.log_group_name
  session_key_alias = null
  session_key_arns  = [var.key_arn]
  attach_to_roles   = [var.instance_role_name]
}
