locals {
  is_home = var.region == var.home_region

  # The guardrails identify the rule by this tag: AWS Config gives it a generated ARN.
  config_rule_tags = { session-manager = "config-rule" }

  log_group_name = var.preferences.cloudwatch.log_group_name == null ? var.names.log_group : var.preferences.cloudwatch.log_group_name

  # Without this project's instance policy, the rule requires a policy of the same name that exists already.
  policy_arn = try(
    module.instance_policy[0].policy_arn,
    "arn:${data.aws_partition.current.partition}:iam::${var.account_id}:policy${var.names.policy_path}${var.names.policy}"
  )
}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == var.account_id
      error_message = "The credentials are those of account ${self.account_id}, but account_id is ${var.account_id}. Use credentials of that account, or set deployment_role to a role in it."
    }
  }
}

# Only in the log archive account, and before anything uses the bucket.
module "log_archive" {
  source = "./modules/log_archive"
  count  = var.log_archive != null ? 1 : 0

  organization_id      = var.log_archive.organization_id
  bucket_name          = var.log_archive.bucket_name
  existing_bucket_name = var.log_archive.existing_bucket_name
  key_prefix           = var.log_archive.key_prefix
  bucket_key           = var.log_archive.bucket_key
  session_key          = var.log_archive.session_key
  reader_role_arns     = var.log_archive.reader_role_arns
  retention            = var.log_archive.retention
  object_lock          = var.log_archive.object_lock
  access_logging       = var.log_archive.access_logging
}

# Only in the management account.
module "guardrails" {
  source = "./modules/guardrails"
  count  = var.guardrails != null ? 1 : 0

  name                       = var.guardrails.name
  names                      = var.names
  attach_to                  = var.guardrails.attach_to
  deny                       = var.guardrails.deny
  exempt_role_arns           = var.guardrails.exempt_role_arns
  unlogged_session_role_arns = var.guardrails.unlogged_session_role_arns
  logged_session_documents   = var.guardrails.logged_session_documents
  other_session_documents    = var.guardrails.other_session_documents
  scp_length_limit           = var.guardrails.scp_length_limit
  log_archive                = var.guardrails.log_archive
}

module "instance_policy" {
  source = "./modules/instance_policy"
  count  = local.is_home && var.instance_policy.enabled ? 1 : 0

  name                         = var.names.policy
  path                         = var.names.policy_path
  log_group_name               = local.log_group_name
  session_key_alias            = var.instance_policy.session_key_by_alias ? var.names.data_key_alias : null
  session_key_regions          = var.instance_policy.regions
  session_key_arns             = setunion(var.instance_policy.session_key_arns, var.preferences.session_key.kms_key_arn[*])
  attach_to_roles              = var.instance_policy.attach_to_roles
  attach_managed_instance_core = var.instance_policy.attach_managed_instance_core
  other_log_buckets            = var.instance_policy.other_log_buckets

  s3 = (
    var.preferences.s3.enabled
    ? {
      bucket_name        = var.preferences.s3.bucket_name
      bucket_account_id  = var.preferences.s3.bucket_account_id
      key_prefix         = var.preferences.s3.key_prefix
      kms_key_arn        = var.preferences.s3.kms_key_arn
      kms_key_account_id = var.preferences.s3.kms_key_account_id
    }
    : null
  )
}

module "config_rule" {
  source = "./modules/config_rule"
  count  = local.is_home && var.config_rule.enabled ? 1 : 0

  name                                 = var.names.config_rule
  automation_document_name             = var.names.automation_document
  home_region                          = var.home_region
  policy_arn                           = local.policy_arn
  nodes                                = var.instance_policy.nodes
  auto_remediation                     = var.config_rule.auto_remediation
  maximum_automatic_attempts           = var.config_rule.maximum_automatic_attempts
  retry_attempt_seconds                = var.config_rule.retry_attempt_seconds
  concurrent_execution_rate_percentage = var.config_rule.concurrent_execution_rate_percentage
  error_percentage                     = var.config_rule.error_percentage
  excluded_role_names                  = var.config_rule.excluded_role_names
  excluded_role_paths                  = var.config_rule.excluded_role_paths

  tags = local.config_rule_tags
}

import {
  for_each = var.preferences.enabled && var.adopt_log_group ? toset([local.log_group_name]) : toset([])

  to = module.preferences[0].aws_cloudwatch_log_group.adopted[each.key]
  id = each.key
}

module "preferences" {
  source = "./modules/preferences"
  count  = var.preferences.enabled ? 1 : 0

  after                = concat(module.instance_policy[*].policy_arn, module.log_archive[*].bucket_arn)
  names                = var.names
  s3                   = var.preferences.s3
  cloudwatch           = merge(var.preferences.cloudwatch, { log_group_name = local.log_group_name, adopt_log_group = var.adopt_log_group })
  session_key          = var.preferences.session_key
  run_as               = var.preferences.run_as
  idle_session_timeout = var.preferences.idle_session_timeout
  max_session_duration = var.preferences.max_session_duration
  shell_profile        = var.preferences.shell_profile
  adopt                = var.preferences.adopt
  on_destroy           = var.preferences.on_destroy
  waive                = var.preferences.waive
  revision             = var.preferences.revision
  check_in_plan        = var.preferences.check_in_plan
  block_public_sharing = var.preferences.block_public_sharing
  drift_repair         = var.preferences.drift_repair
  function             = var.preferences.function
}
