provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

# Every option, most of them with a value that is not the default.
module "preferences" {
  source = "../../modules/preferences"

  names = {
    document           = "SSM-SessionManagerRunShell"
    data_key_alias     = "alias/session-manager/data"
    data_key_parameter = "/session-manager/session-data-key"
    logs_key_alias     = "alias/session-manager/logs"
    function           = "session-manager-preferences"
  }

  s3 = {
    enabled            = true
    bucket_name        = var.bucket_name
    key_prefix         = "sessions"
    encryption_enabled = true
  }

  cloudwatch = {
    create_log_group   = true
    log_group_name     = "session-logs"
    encryption_enabled = true
    streaming_enabled  = true
    retention_in_days  = 365
    kms_key_arn        = null # creates one
  }

  session_key = {
    enabled         = true
    kms_key_arn     = null # creates one
    organization_id = var.organization_id
  }

  run_as = {
    enabled      = true
    default_user = "operator"
  }

  idle_session_timeout = 10
  max_session_duration = 120

  shell_profile = {
    linux   = "cd \"$HOME\" && umask 077"
    windows = "Set-StrictMode -Version 3"
  }

  adopt      = "replace"
  on_destroy = "reset"
  waive      = []
  revision   = "1"

  drift_repair = {
    enabled          = true
    schedule         = "rate(15 minutes)"
    notify_topic_arn = var.notify_topic_arn
  }
  check_in_plan = true

  block_public_sharing = true

  function = {
    reserved_concurrent_executions = null
    log_retention_in_days          = 365
  }

  after = []
  tags  = { component = "session-manager" }
}
