variable "account_id" {
  description = "Id of the account to configure (12 digits). Terraform stops unless the caller's account and the workspace match it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "The account_id must have exactly 12 digits; quote it, so that leading zeros stay."
  }

  # A validation rather than a precondition: validations also run on terraform destroy.
  validation {
    condition     = terraform.workspace == (var.region == var.home_region ? var.account_id : "${var.account_id}-${var.region}")
    error_message = "The workspace is ${terraform.workspace}, but account ${var.account_id} in ${var.region} has the workspace ${var.region == var.home_region ? var.account_id : "${var.account_id}-${var.region}"}. Select it with `terraform workspace select -or-create`, or use the variables of ${terraform.workspace}."
  }
}

variable "adopt_log_group" {
  description = "Whether the log group of the session logs exists already, and is imported: its key and retention are set, and a destroy leaves it there. The rollout sets it with `preferences.cloudwatch.existing`."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.adopt_log_group || !var.preferences.cloudwatch.create_log_group
    error_message = "The adopt_log_group needs preferences.cloudwatch.create_log_group = false: what exists is not created."
  }
}

variable "config_rule" {
  description = "AWS Config rule that finds roles of managed nodes without the instance policy, and its remediation. `instance_policy.nodes` says which nodes. Created once per account, in the home region."
  type = object({
    enabled                              = optional(bool, true)
    auto_remediation                     = optional(bool, false)
    maximum_automatic_attempts           = optional(number, 5)
    retry_attempt_seconds                = optional(number, 60)
    concurrent_execution_rate_percentage = optional(number, 10)
    error_percentage                     = optional(number, 10)
    excluded_role_names                  = optional(set(string), [])
    excluded_role_paths                  = optional(set(string), [])
  })
  default  = {}
  nullable = false
}

variable "deployment_role" {
  description = "Role to assume in the account, by name or by path and name (`path/Name`), for `terraform apply` and `terraform destroy`, and for plans without a `read_role`. `null` uses the caller's own credentials. AWS limits its `duration` to 1h if the caller is a role, too (role chaining)."
  type = object({
    name         = string
    external_id  = optional(string)
    session_name = optional(string, "session-manager-rollout")
    duration     = optional(string, "1h")
  })
  default = null

  validation {
    condition     = var.deployment_role == null || can(regex("^([\\w+=,.@-]+/)*[\\w+=,.@-]{1,64}$", var.deployment_role.name))
    error_message = "The deployment_role.name must be a role name or path/name, not an ARN and without a leading slash."
  }

  validation {
    condition     = var.deployment_role == null || can(regex("^[\\w+=,.@-]{2,64}$", var.deployment_role.session_name))
    error_message = "The deployment_role.session_name must have 2 to 64 letters, digits or characters of _+=,.@-."
  }

  validation {
    condition = var.deployment_role == null || try(
      can(regex("^([0-9]+[hms])+$", var.deployment_role.duration))
      && timecmp(timeadd("2000-01-01T00:00:00Z", var.deployment_role.duration), "2000-01-01T00:15:00Z") >= 0
      && timecmp(timeadd("2000-01-01T00:00:00Z", var.deployment_role.duration), "2000-01-01T12:00:00Z") <= 0,
      false
    )
    error_message = "The deployment_role.duration must be a duration of 15m to 12h, such as 1h or 30m."
  }
}

variable "guardrails" {
  description = "Service control policy that denies, to all but the `exempt_role_arns`, changes to the preferences, to the resources they need and to their monitoring, and sessions without logging. Set it for the management account in its home region only; `null` creates none. The attributes are the variables of modules/guardrails."
  type = object({
    attach_to = optional(set(string), [])
    deny = optional(object({
      preferences            = optional(bool)
      public_sharing         = optional(bool)
      ssh                    = optional(bool)
      port_forwarding        = optional(bool)
      other_documents        = optional(bool)
      keys                   = optional(bool)
      log_groups             = optional(bool)
      subscription_filters   = optional(bool)
      account_log_policies   = optional(bool)
      function               = optional(bool)
      drift_repair           = optional(bool)
      cloudtrail             = optional(bool)
      config_rule            = optional(bool)
      config_recorder        = optional(bool)
      remediation_exceptions = optional(bool)
      instance_policy        = optional(bool)
      exempt_roles           = optional(bool)
    }), {})
    exempt_role_arns = set(string)
    log_archive = optional(object({
      bucket_name = string
      key_prefix  = optional(string)
      key_aliases = optional(set(string), [])
      other_buckets = optional(list(object({
        bucket_name = string
        key_prefix  = optional(string)
      })), [])
    }))
    name                       = optional(string, "session-manager-guardrails")
    logged_session_documents   = optional(set(string), [])
    other_session_documents    = optional(set(string), [])
    scp_length_limit           = optional(number)
    unlogged_session_role_arns = optional(set(string), [])
  })
  default = null

  validation {
    condition     = var.guardrails == null || var.region == var.home_region
    error_message = "The guardrails exist once in the organization: set them in the home region ${var.home_region} only."
  }
}

variable "home_region" {
  description = "Region that manages what exists once per account: the instance policy and the Config rule."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]$", var.home_region))
    error_message = "The home_region must be a region's name such as eu-west-1."
  }
}

variable "instance_policy" {
  description = "IAM managed policy of the instances. It allows the session-data keys with the alias `names.data_key_alias` in `regions` (`*` for all) unless `session_key_by_alias` is false (set it where no region has such a key), the keys of `session_key_arns`, such as existing keys of other regions, and the key of the home region's preferences; and writing to the bucket of the home region's preferences and to the `other_log_buckets`, to which instances of other regions log. Created once per account, in the home region."
  type = object({
    enabled                      = optional(bool, true)
    regions                      = optional(list(string), ["*"])
    session_key_by_alias         = optional(bool, true)
    session_key_arns             = optional(set(string), [])
    attach_to_roles              = optional(set(string), [])
    attach_managed_instance_core = optional(bool, false)
    # The nodes whose roles the Config rule judges, and its remediation attaches the policy to.
    nodes = optional(object({
      instance_profiles       = optional(bool, true)
      default_host_management = optional(bool, true)
      hybrid                  = optional(bool, true)
      inline_at_quota         = optional(bool, false)
    }), {})
    other_log_buckets = optional(list(object({
      bucket_name        = string
      bucket_account_id  = optional(string)
      key_prefix         = optional(string, "sessionmanager")
      kms_key_arn        = optional(string)
      kms_key_account_id = optional(string)
    })), [])
  })
  default  = {}
  nullable = false
}

variable "log_archive" {
  description = "Bucket for the session logs of the organization, and its key. Set it for the log archive account only, in its home region and in every region whose instances log to a bucket of their own; `null` creates none. The attributes are the variables of modules/log_archive."
  type = object({
    access_logging = optional(object({
      bucket_name = string
      key_prefix  = optional(string)
    }))
    bucket_key = optional(object({
      kms_key_arn = optional(string)
      alias       = optional(string)
    }), {})
    bucket_name          = optional(string)
    existing_bucket_name = optional(string)
    key_prefix           = optional(string, "sessionmanager")
    object_lock = optional(object({
      mode = optional(string)
      days = number
    }))
    organization_id  = string
    reader_role_arns = optional(set(string), [])
    retention = optional(object({
      days            = optional(number)
      noncurrent_days = optional(number)
      transitions     = optional(list(object({ days = number, storage_class = string })))
    }), {})
    session_key = optional(object({
      mode  = optional(string)
      alias = optional(string)
    }), {})
  })
  default = null
}

variable "names" {
  description = "Names of the created resources, in one place for all components, so that policy, preferences and rule refer to the same resources."
  type = object({
    log_group           = optional(string, "ssm-sessionmanager-logs")
    policy              = optional(string, "SessionManagerLogPolicy")
    policy_path         = optional(string, "/")
    data_key_alias      = optional(string, "alias/session-manager/data")
    logs_key_alias      = optional(string, "alias/session-manager/logs")
    data_key_parameter  = optional(string, "/session-manager/session-data-key")
    document            = optional(string, "SSM-SessionManagerRunShell")
    config_rule         = optional(string, "iam-ec2-role-has-required-policy")
    automation_document = optional(string, "Attach-ssm-policy-to-instance-profile")
    function            = optional(string, "session-manager-preferences")
  })
  default  = {}
  nullable = false
}

variable "preferences" {
  description = "Session Manager preferences of the region, with the keys, the log group and the function that maintains them. What is disabled or empty is not managed: the service's default with `adopt = \"replace\"`, left unchanged with `adopt = \"merge\"`."
  type = object({
    enabled = optional(bool, true)
    s3 = optional(object({
      enabled            = optional(bool, false)
      bucket_name        = optional(string)
      bucket_account_id  = optional(string) # null: the account of the bucket's key, or this account
      key_prefix         = optional(string, "sessionmanager")
      encryption_enabled = optional(bool, true)
      kms_key_arn        = optional(string)
      kms_key_account_id = optional(string) # instead of kms_key_arn, if the ARN is unknown
    }), {})
    cloudwatch = optional(object({
      create_log_group   = optional(bool, true)
      log_group_name     = optional(string) # null: names.log_group; "": no CloudWatch logging
      encryption_enabled = optional(bool, true)
      streaming_enabled  = optional(bool, false)
      retention_in_days  = optional(number, 90)
      kms_key_arn        = optional(string)
      log_group_class    = optional(string, "STANDARD")
      subscription = optional(object({
        destination_arn = string
        role_arn        = optional(string)
        filter_pattern  = optional(string, "")
        distribution    = optional(string, "ByLogStream")
        name            = optional(string, "session-manager")
      }))
      data_protection = optional(object({
        credentials        = optional(bool, true)
        identifiers        = optional(set(string), [])
        custom_identifiers = optional(map(string), {})
        findings_destination = optional(object({
          log_group_name       = optional(string)
          bucket_name          = optional(string)
          delivery_stream_name = optional(string)
        }), {})
      }))
    }), {})
    session_key = optional(object({
      enabled         = optional(bool, true)
      kms_key_arn     = optional(string)
      organization_id = optional(string)
    }), {})
    run_as = optional(object({
      enabled      = optional(bool, false)
      default_user = optional(string, "")
    }), {})
    idle_session_timeout = optional(number, 20) # minutes
    max_session_duration = optional(number, 60) # minutes; 0: no maximum
    shell_profile = optional(object({
      linux   = optional(string, "")
      windows = optional(string, "")
    }), {})
    adopt         = optional(string, "replace")
    on_destroy    = optional(string, "restore")
    waive         = optional(set(string), [])
    revision      = optional(string, "1")
    check_in_plan = optional(bool, false)
    # A setting of the whole account in the region: no SSM document can be shared publicly.
    block_public_sharing = optional(bool, false)
    drift_repair = optional(object({
      enabled          = optional(bool, true)
      schedule         = optional(string, "rate(1 hour)") # "": none
      notify_topic_arn = optional(string)
    }), {})
    function = optional(object({
      reserved_concurrent_executions = optional(number) # null: unreserved
      log_retention_in_days          = optional(number, 90)
    }), {})
  })
  default  = {}
  nullable = false
}

variable "read_role" {
  description = "Role to assume in the account for plans, also those of `terraform apply`, which then enters with the `deployment_role` only to change resources; for `terraform destroy` see `use_deployment_role`. `null` plans with the `deployment_role`."
  type = object({
    name         = string
    external_id  = optional(string)
    session_name = optional(string, "session-manager-rollout")
    duration     = optional(string, "1h")
  })
  default = null

  validation {
    condition     = var.read_role == null || can(regex("^([\\w+=,.@-]+/)*[\\w+=,.@-]{1,64}$", var.read_role.name))
    error_message = "The read_role.name must be a role name or path/name, not an ARN and without a leading slash."
  }

  validation {
    condition     = var.read_role == null || can(regex("^[\\w+=,.@-]{2,64}$", var.read_role.session_name))
    error_message = "The read_role.session_name must have 2 to 64 letters, digits or characters of _+=,.@-."
  }

  validation {
    condition = var.read_role == null || try(
      can(regex("^([0-9]+[hms])+$", var.read_role.duration))
      && timecmp(timeadd("2000-01-01T00:00:00Z", var.read_role.duration), "2000-01-01T00:15:00Z") >= 0
      && timecmp(timeadd("2000-01-01T00:00:00Z", var.read_role.duration), "2000-01-01T12:00:00Z") <= 0,
      false
    )
    error_message = "The read_role.duration must be a duration of 15m to 12h, such as 1h or 30m."
  }
}

variable "region" {
  description = "Region to configure."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region must be a region's name such as eu-west-1."
  }

  validation {
    condition     = alltrue([for prefix in ["cn-", "us-gov-", "eusc-"] : startswith(var.region, prefix) == startswith(var.home_region, prefix)])
    error_message = "The region ${var.region} and the home_region ${var.home_region} are in different partitions, but an account belongs to one partition."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "The tags must not begin with aws:, which AWS reserves."
  }
}

variable "use_deployment_role" {
  description = "Whether to plan with the `deployment_role`, too. `terraform destroy` needs it where a `read_role` is set: Terraform's `terraform.applying` is false while it destroys."
  type        = bool
  default     = false
  nullable    = false
  # The value may differ between a plan and its apply.
  ephemeral = true
}
