variable "adopt" {
  description = "What happens to a document that exists already: `replace` writes the preferences over it, `merge` keeps what is switched off or left empty here, for which the function may look at any key of the region and at the encryption of any bucket, `fail` lists the differences and stops. Its content is recorded before the first change."
  type        = string
  default     = "replace"
  nullable    = false

  validation {
    condition     = contains(["replace", "merge", "fail"], var.adopt)
    error_message = "The adopt must be replace, merge or fail."
  }
}

variable "after" {
  description = "Values of what instances need before the preferences may ask for it, such as the ARN of their policy: the document is written after the resources behind them, and restored before they are destroyed."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "block_public_sharing" {
  description = "Whether documents of Systems Manager, the preferences among them, are kept from being shared with everybody. It is a setting of the whole account in this region, which a destroy resets to AWS's default, public sharing allowed: leave it false where sharing is blocked already."
  type        = bool
  default     = false
  nullable    = false
}

variable "check_in_plan" {
  description = "Whether each plan calls the function to compare the document with the configuration, and warns of differences. It costs a call for each plan, and in a plan with changes the result is known after apply."
  type        = bool
  default     = false
  nullable    = false
}

variable "cloudwatch" {
  description = "Session logs in CloudWatch Logs. Without `create_log_group` the group exists already; with `adopt_log_group` it is also imported, as `aws_cloudwatch_log_group.adopted[\"NAME\"]`: its key and retention are set, and a destroy leaves it there, with both; an empty `log_group_name` sends nothing there. `encryption_enabled` makes the agent refuse sessions unless the group is encrypted with a KMS key: with `kms_key_arn`, or with a key that is created for a created group. `log_group_class` is that of a created group, `STANDARD` or `INFREQUENT_ACCESS`. `subscription` sends events on as they arrive: to a stream, a delivery stream or a function of this account, or to a destination of another account, with `role_arn` or a role that is created. `data_protection` masks credentials and other identifiers."
  type = object({
    create_log_group   = optional(bool, true)
    adopt_log_group    = optional(bool, false)
    log_group_name     = optional(string, "ssm-sessionmanager-logs")
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
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^[\\w./#-]{0,512}$", var.cloudwatch.log_group_name)) && !can(regex("^(?i:aws)/", var.cloudwatch.log_group_name))
    error_message = "The cloudwatch.log_group_name must have at most 512 letters, digits or characters of _-/.#, and not begin with aws/."
  }

  validation {
    condition     = var.cloudwatch.log_group_name != "" || var.s3.enabled || contains(var.waive, "no_log_destination")
    error_message = "Sessions must be logged somewhere: give the cloudwatch.log_group_name a name, set s3.enabled, or waive no_log_destination."
  }

  validation {
    condition     = var.cloudwatch.log_group_name != "" || !(var.cloudwatch.create_log_group || var.cloudwatch.streaming_enabled)
    error_message = "The cloudwatch.create_log_group and cloudwatch.streaming_enabled must be false when the cloudwatch.log_group_name is empty."
  }

  validation {
    condition     = !var.cloudwatch.adopt_log_group || (var.cloudwatch.log_group_name != "" && !var.cloudwatch.create_log_group)
    error_message = "The cloudwatch.adopt_log_group needs a log_group_name, and create_log_group = false: what exists is not created."
  }

  validation {
    condition     = var.cloudwatch.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[\\w-]+$", var.cloudwatch.kms_key_arn))
    error_message = "The cloudwatch.kms_key_arn must be the ARN of a key, not of an alias."
  }

  validation {
    condition     = try(split(":", var.cloudwatch.kms_key_arn)[3] == local.region, true)
    error_message = "The cloudwatch.kms_key_arn must be a key of region ${local.region}."
  }

  validation {
    condition     = contains(["STANDARD", "INFREQUENT_ACCESS"], var.cloudwatch.log_group_class)
    error_message = "The cloudwatch.log_group_class must be STANDARD or INFREQUENT_ACCESS."
  }

  # CloudWatch Logs refuses both in the other class.
  validation {
    condition     = var.cloudwatch.log_group_class == "STANDARD" || (var.cloudwatch.subscription == null && var.cloudwatch.data_protection == null)
    error_message = "The cloudwatch.subscription and cloudwatch.data_protection need the cloudwatch.log_group_class STANDARD."
  }

  validation {
    condition     = var.cloudwatch.log_group_name != "" || (var.cloudwatch.subscription == null && var.cloudwatch.data_protection == null)
    error_message = "The cloudwatch.subscription and cloudwatch.data_protection must be left out when the cloudwatch.log_group_name is empty."
  }

  validation {
    condition = var.cloudwatch.subscription == null || can(regex(join("", [
      "^arn:aws[a-z-]*:(kinesis:[a-z0-9-]+:[0-9]{12}:stream/[\\w.-]{1,128}",
      "|firehose:[a-z0-9-]+:[0-9]{12}:deliverystream/[\\w.-]{1,64}",
      "|lambda:[a-z0-9-]+:[0-9]{12}:function:[\\w-]{1,64}",
      "|logs:[a-z0-9-]+:[0-9]{12}:destination:[^:*\\s]{1,512})$",
    ]), var.cloudwatch.subscription.destination_arn))
    error_message = "The cloudwatch.subscription.destination_arn must be the ARN of a Kinesis stream, a Firehose delivery stream, a Lambda function or a CloudWatch Logs destination."
  }

  validation {
    condition     = try(split(":", var.cloudwatch.subscription.destination_arn)[3] == local.region, true)
    error_message = "The cloudwatch.subscription.destination_arn must be of region ${local.region}, where the log group is."
  }

  validation {
    condition     = try(var.cloudwatch.subscription.role_arn, null) == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/([\\w+=,.@-]+/)*[\\w+=,.@-]{1,64}$", var.cloudwatch.subscription.role_arn))
    error_message = "The cloudwatch.subscription.role_arn must be the ARN of a role."
  }

  validation {
    condition     = try(var.cloudwatch.subscription.role_arn, null) == null || try(split(":", var.cloudwatch.subscription.destination_arn)[2] != "lambda", true)
    error_message = "The cloudwatch.subscription.role_arn has no effect on a function: its own policy lets CloudWatch Logs call it."
  }

  validation {
    condition     = var.cloudwatch.subscription == null || try(length(var.cloudwatch.subscription.filter_pattern) <= 1024, false)
    error_message = "The cloudwatch.subscription.filter_pattern must have at most 1024 characters."
  }

  validation {
    condition     = contains(["ByLogStream", "Random"], try(var.cloudwatch.subscription.distribution, "ByLogStream"))
    error_message = "The cloudwatch.subscription.distribution must be ByLogStream or Random."
  }

  validation {
    condition     = can(regex("^[^:*\\s]{1,512}$", try(var.cloudwatch.subscription.name, "session-manager")))
    error_message = "The cloudwatch.subscription.name must have 1 to 512 characters without colons, stars and blanks."
  }

  # Its name is <function>-logs-<region>, in at most 64 characters.
  validation {
    condition     = try(var.cloudwatch.subscription.role_arn != null || split(":", var.cloudwatch.subscription.destination_arn)[2] == "lambda", true) || length(var.names.function) <= 44
    error_message = "The cloudwatch.subscription needs a role_arn when the names.function has more than 44 characters: the name of the created role would be too long."
  }

  validation {
    condition = var.cloudwatch.data_protection == null || try(
      var.cloudwatch.data_protection.credentials || length(var.cloudwatch.data_protection.identifiers) + length(var.cloudwatch.data_protection.custom_identifiers) > 0,
      false
    )
    error_message = "The cloudwatch.data_protection must mask something: credentials, identifiers or custom_identifiers."
  }

  validation {
    condition     = alltrue([for name in try(var.cloudwatch.data_protection.identifiers, []) : can(regex("^[A-Z][A-Za-z0-9]{1,63}(-[A-Z]{2})?$", name))])
    error_message = "The cloudwatch.data_protection.identifiers must be ids of managed data identifiers, such as EmailAddress or PassportNumber-US."
  }

  validation {
    condition = (
      length(try(var.cloudwatch.data_protection.custom_identifiers, {})) <= 10
      && alltrue([for name, regex in try(var.cloudwatch.data_protection.custom_identifiers, {}) : can(regex("^[A-Za-z0-9_-]{1,128}$", name))])
    )
    error_message = "The cloudwatch.data_protection.custom_identifiers must be at most 10, with names of 1 to 128 letters, digits or characters of _-."
  }

  validation {
    condition     = alltrue([for expression in values(try(var.cloudwatch.data_protection.custom_identifiers, {})) : can(regex("^[A-Za-z0-9_#=@/;, ^$?\\[\\]{}|\\\\*+.-]{1,200}$", expression))])
    error_message = "The cloudwatch.data_protection.custom_identifiers must be regular expressions of 1 to 200 letters, digits, blanks or characters of _#=@/;,-^$?[]{}|\\*+. and no others."
  }

  validation {
    condition     = length(setintersection(try(var.cloudwatch.data_protection.identifiers, []), keys(try(var.cloudwatch.data_protection.custom_identifiers, {})))) == 0
    error_message = "The cloudwatch.data_protection.custom_identifiers must not have the names of managed identifiers."
  }

  validation {
    condition     = try(var.cloudwatch.data_protection.findings_destination.log_group_name, null) == null || try(can(regex("^[\\w./#-]{1,512}$", var.cloudwatch.data_protection.findings_destination.log_group_name)) && var.cloudwatch.data_protection.findings_destination.log_group_name != var.cloudwatch.log_group_name, false)
    error_message = "The cloudwatch.data_protection.findings_destination.log_group_name must be the name of another log group."
  }

  validation {
    condition     = try(var.cloudwatch.data_protection.findings_destination.bucket_name, null) == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.cloudwatch.data_protection.findings_destination.bucket_name))
    error_message = "The cloudwatch.data_protection.findings_destination.bucket_name must be a bucket's name."
  }

  validation {
    condition     = try(var.cloudwatch.data_protection.findings_destination.delivery_stream_name, null) == null || can(regex("^[\\w.-]{1,64}$", var.cloudwatch.data_protection.findings_destination.delivery_stream_name))
    error_message = "The cloudwatch.data_protection.findings_destination.delivery_stream_name must be the name of a Firehose delivery stream."
  }
}

variable "drift_repair" {
  description = "Repair of the document after changes, deletion or sharing outside Terraform: some minutes after a change, for which the account needs a CloudTrail trail with write management events, and on a `schedule` (empty for none), which also checks that the destinations of the logs and the keys are usable. The SNS topic `notify_topic_arn` is notified of repairs; the key policy of an encrypted topic must allow CloudWatch to use the key for the alarm on failed repairs."
  type = object({
    enabled          = optional(bool, true)
    schedule         = optional(string, "rate(1 hour)")
    notify_topic_arn = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\([^ ()]+( [^ ()]+){5}\\))?$", var.drift_repair.schedule))
    error_message = "The drift_repair.schedule must be an expression of EventBridge such as rate(1 hour) or cron(0 3 * * ? *), or empty for none."
  }

  validation {
    condition     = var.drift_repair.notify_topic_arn == null || can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\\w-]{1,256}$", var.drift_repair.notify_topic_arn))
    error_message = "The drift_repair.notify_topic_arn must be the ARN of a standard SNS topic."
  }

  validation {
    condition     = try(split(":", var.drift_repair.notify_topic_arn)[3] == local.region, true)
    error_message = "The drift_repair.notify_topic_arn must be a topic of region ${local.region}."
  }
}

variable "function" {
  description = "Settings of the function that writes the document. Reserved executions (`null` for none) are impossible in new accounts, whose quota is not larger than the number that must stay unreserved."
  type = object({
    reserved_concurrent_executions = optional(number)
    log_retention_in_days          = optional(number, 90)
  })
  default  = {}
  nullable = false

  validation {
    condition     = try(var.function.reserved_concurrent_executions >= 1, var.function.reserved_concurrent_executions == null)
    error_message = "The function.reserved_concurrent_executions must be at least 1, or null for unreserved."
  }
}

variable "idle_session_timeout" {
  description = "Minutes without activity after which a session ends: 1 to 60."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = contains(range(1, 61), var.idle_session_timeout)
    error_message = "The idle_session_timeout must be a whole number from 1 to 60 minutes."
  }
}

variable "max_session_duration" {
  description = "Minutes after which a session ends in any case: 1 to 1440 and more than `idle_session_timeout`; 0 is no maximum."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.max_session_duration >= 0 && var.max_session_duration <= 1440 && floor(var.max_session_duration) == var.max_session_duration
    error_message = "The max_session_duration must be a whole number from 1 to 1440 minutes, or 0 for no maximum."
  }

  validation {
    condition     = var.max_session_duration == 0 || var.max_session_duration > var.idle_session_timeout
    error_message = "The max_session_duration must be greater than the idle_session_timeout."
  }
}

variable "names" {
  description = "Names of what is created. Session Manager reads its preferences from the default `document`; the policy of the instances allows the session-data key by `data_key_alias`."
  type = object({
    document           = optional(string, "SSM-SessionManagerRunShell")
    data_key_alias     = optional(string, "alias/session-manager/data")
    data_key_parameter = optional(string, "/session-manager/session-data-key")
    logs_key_alias     = optional(string, "alias/session-manager/logs")
    function           = optional(string, "session-manager-preferences")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^[\\w.-]{3,128}$", var.names.document)) && !can(regex("^(?i:aws|amazon|amzn)", var.names.document))
    error_message = "The names.document must have 3 to 128 letters, digits or characters of _.-, and not begin with aws, amazon or amzn."
  }

  validation {
    condition     = var.names.data_key_alias != var.names.logs_key_alias
    error_message = "The names.data_key_alias and names.logs_key_alias must differ: instances may use the key of the first only."
  }

  validation {
    condition     = can(regex("^(/[\\w.-]+)+$", var.names.data_key_parameter)) && !can(regex("^/(?i:aws|ssm)", var.names.data_key_parameter))
    error_message = "The names.data_key_parameter must be a path such as /session-manager/session-data-key, and not begin with aws or ssm."
  }

  # The role carries the function's name and the region's, in at most 64 characters.
  validation {
    condition     = can(regex("^[\\w-]{1,49}$", var.names.function))
    error_message = "The names.function must have 1 to 49 letters, digits or characters of _-."
  }
}

variable "on_destroy" {
  description = "Handling of the document when this module is destroyed: `restore` restores the original document, `reset` switches logging and encryption off and sets the service's defaults, `retain` leaves it as it is: only with existing keys and log groups, because sessions fail when the document names one that is destroyed with the module."
  type        = string
  default     = "restore"
  nullable    = false

  validation {
    condition     = contains(["restore", "retain", "reset"], var.on_destroy)
    error_message = "The on_destroy must be restore, retain or reset."
  }
}

variable "revision" {
  description = "Any text; a new one calls the function again although nothing else changed. Terraform does not repeat a failed update by itself; the rollout plans another revision where one is needed."
  type        = string
  default     = "1"
  nullable    = false
}

variable "run_as" {
  description = "Run sessions on Linux and macOS as `default_user` (or `user@domain`) instead of ssm-user. A session fails on instances that do not have the user, where it has the group id 0, and for ssm-user itself where the agent has not created it yet."
  type = object({
    enabled      = optional(bool, false)
    default_user = optional(string, "")
  })
  default  = {}
  nullable = false

  # The agent passes the name to a shell unquoted, and `id 0` is root.
  validation {
    condition     = var.run_as.default_user == "" || can(regex("^[A-Za-z_][A-Za-z0-9_.-]{0,63}([$]|@[A-Za-z0-9][A-Za-z0-9.-]{0,252})?$", var.run_as.default_user))
    error_message = "The run_as.default_user must be an operating system user, beginning with a letter or _, of letters, digits and _.-, with $ or @ and a domain behind it or nothing."
  }

  validation {
    condition     = var.run_as.default_user != "root"
    error_message = "The run_as.default_user must not be root: the agent refuses such sessions."
  }

  validation {
    condition     = !var.run_as.enabled || var.run_as.default_user != "" || contains(var.waive, "run_as_by_tag")
    error_message = "The run_as.enabled needs a run_as.default_user, because without one every session on Linux fails; waive run_as_by_tag if all callers have the tag SSMSessionRunAs."
  }
}

variable "s3" {
  description = "Session logs in S3, below `<key_prefix>/<account>/<region>`. `encryption_enabled` makes the agent refuse sessions unless the bucket has default encryption."
  type = object({
    enabled            = optional(bool, false)
    bucket_name        = optional(string)
    key_prefix         = optional(string, "sessionmanager")
    encryption_enabled = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = !var.s3.enabled || var.s3.bucket_name != null
    error_message = "The s3.enabled needs an s3.bucket_name."
  }

  validation {
    condition     = var.s3.bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.s3.bucket_name))
    error_message = "The s3.bucket_name must be a bucket's name without dots (dots break TLS host names)."
  }

  validation {
    condition     = can(regex("^([\\w.=-]+(/[\\w.=-]+)*)?$", var.s3.key_prefix)) && !strcontains(var.s3.key_prefix, "..") && !can(regex("(^|/)[.](/|$)", var.s3.key_prefix))
    error_message = "The s3.key_prefix must be letters, digits and _.=- in parts separated by single slashes, without a slash at either end, without \"..\" and without \".\" as a part."
  }
}

variable "session_key" {
  description = "Encryption of session data with a KMS key: the one of `kms_key_arn`, or one that is created. People who open sessions need kms:GenerateDataKey on it, instances kms:Decrypt. A created key is for IAM principals of the account, and with `organization_id` for those of the organization, too."
  type = object({
    enabled         = optional(bool, true)
    kms_key_arn     = optional(string)
    organization_id = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.session_key.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$", var.session_key.kms_key_arn))
    error_message = "The session_key.kms_key_arn must be the ARN of a key, with its UUID or mrk- id, not of an alias."
  }

  validation {
    condition     = try(split(":", var.session_key.kms_key_arn)[3] == local.region, true)
    error_message = "The session_key.kms_key_arn must be a key of region ${local.region}: instances and users look for it there."
  }

  validation {
    condition     = var.session_key.enabled || var.session_key.kms_key_arn == null
    error_message = "The session_key.kms_key_arn has no effect unless session_key.enabled is true."
  }

  validation {
    condition     = var.session_key.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.session_key.organization_id))
    error_message = "The session_key.organization_id must be the id of an organization, such as o-exampleorgid."
  }

  validation {
    condition     = var.session_key.organization_id == null || (var.session_key.enabled && var.session_key.kms_key_arn == null)
    error_message = "The session_key.organization_id has no effect unless the session key is created here."
  }
}

variable "shell_profile" {
  description = "Commands that run at the beginning of every session. They are shown and can be interrupted: they are no security control, and no place for secrets."
  type = object({
    linux   = optional(string, "")
    windows = optional(string, "")
  })
  default  = {}
  nullable = false

  # Base64 has four characters for three bytes.
  validation {
    condition     = length(base64encode("${var.shell_profile.linux}${var.shell_profile.windows}")) <= 80000
    error_message = "The shell_profile must have at most 60000 bytes, linux and windows together."
  }

  # The agent types the profile into a terminal.
  validation {
    condition     = alltrue([for line in split("\n", replace(var.shell_profile.linux, "\r", "\n")) : length(base64encode(line)) <= 5460])
    error_message = "The shell_profile.linux must have lines of at most 4095 bytes: the terminal cuts longer ones."
  }

  # The agent replaces references in every input, and refuses the session when it cannot.
  validation {
    condition     = !can(regex("(?i)[{][{]\\s*ssm", "${var.shell_profile.linux}\n${var.shell_profile.windows}"))
    error_message = "The shell_profile must not have references such as {{ssm:name}}: any principal that may write the parameter could run commands in every session."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "waive" {
  description = "Rules to set aside knowingly: `no_log_destination` allows sessions that are logged nowhere, `run_as_by_tag` allows `run_as.enabled` without a user because all callers have the tag SSMSessionRunAs, `preflight_permissions` accepts destinations that the function has no permission to check."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(setsubtract(var.waive, ["no_log_destination", "run_as_by_tag", "preflight_permissions"])) == 0
    error_message = "The waive must hold no_log_destination, run_as_by_tag and preflight_permissions only."
  }
}
