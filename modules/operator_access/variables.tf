variable "auditor" {
  description = "Policy of the people who read session logs, preferences and compliance. `attach_to_roles` are names of existing roles."
  type = object({
    enabled         = optional(bool, true)
    policy_name     = optional(string, "SessionManagerAuditor")
    attach_to_roles = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.auditor.policy_name != var.operator.policy_name
    error_message = "The auditor.policy_name and the operator.policy_name must differ."
  }

  validation {
    condition     = alltrue([for name in var.auditor.attach_to_roles : can(regex("^[\\w+=,.@-]{1,64}$", name))])
    error_message = "The auditor.attach_to_roles must be names of roles, without their paths: 1 to 64 letters, digits or characters of _+=,.@-."
  }
}

variable "names" {
  description = "Names that the other modules gave. A `data_key_alias` of null leaves the session keys of `session_key_arns` only."
  type = object({
    data_key_alias = optional(string, "alias/session-manager/data")
    document       = optional(string, "SSM-SessionManagerRunShell")
    function       = optional(string, "session-manager-preferences")
    log_group      = optional(string, "ssm-sessionmanager-logs")
    logs_key_alias = optional(string, "alias/session-manager/logs")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for alias in concat(var.names.data_key_alias[*], [var.names.logs_key_alias]) : can(regex("^alias/[\\w/-]{1,250}$", alias))])
    error_message = "The names.data_key_alias and names.logs_key_alias must begin with alias/ and go on with letters, digits or characters of _/-."
  }

  validation {
    condition     = can(regex("^[\\w.-]{3,128}$", var.names.document)) && !can(regex("^(?i:aws|amazon|amzn)", var.names.document))
    error_message = "The names.document must have 3 to 128 letters, digits or characters of _.-, and not begin with aws, amazon or amzn."
  }

  validation {
    condition     = can(regex("^[\\w-]{1,49}$", var.names.function))
    error_message = "The names.function must have 1 to 49 letters, digits or characters of _-."
  }

  validation {
    condition     = can(regex("^[\\w./#-]{1,512}$", var.names.log_group)) && !can(regex("^(?i:aws)/", var.names.log_group))
    error_message = "The names.log_group must have 1 to 512 letters, digits or characters of _-/.#, and not begin with aws/."
  }
}

variable "operator" {
  description = "Policy of the people who open sessions, on instances that have one of the values of each of the `instance_tags`. Forwarded ports are not logged: `port_forwarding` allows those of the instance itself (`to_instance`) and, through it, of other hosts (`to_remote_host`). `attach_to_roles` are names of existing roles."
  type = object({
    enabled         = optional(bool, true)
    policy_name     = optional(string, "SessionManagerOperator")
    instance_tags   = optional(map(list(string)), {})
    attach_to_roles = optional(set(string), [])
    port_forwarding = optional(object({
      to_instance    = optional(bool, false)
      to_remote_host = optional(bool, false)
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = !var.operator.enabled || length(var.operator.instance_tags) > 0
    error_message = "The operator.instance_tags must name at least one tag: without one, sessions could be opened on every instance of the account."
  }

  validation {
    condition     = alltrue([for key, values in var.operator.instance_tags : can(regex("^[\\w .:/=+@-]{1,128}$", key)) && length(values) > 0])
    error_message = "The operator.instance_tags must be keys of tags, of 1 to 128 letters, digits, spaces or characters of _.:/=+-@, each with at least one value."
  }

  # IAM compares them as they are; a variable such as ${aws:PrincipalTag/team} takes the value from the person.
  validation {
    condition     = alltrue([for value in flatten(values(var.operator.instance_tags)) : can(regex("^([\\w .:/=+@-]|[$][{]aws:PrincipalTag/[\\w .:/=+@-]+[}]){1,256}$", value))])
    error_message = "The values of operator.instance_tags must be whole values, of 1 to 256 letters, digits, spaces or characters of _.:/=+-@, without wildcards, or variables such as $${aws:PrincipalTag/team}."
  }

  validation {
    condition     = alltrue([for name in var.operator.attach_to_roles : can(regex("^[\\w+=,.@-]{1,64}$", name))])
    error_message = "The operator.attach_to_roles must be names of roles, without their paths: 1 to 64 letters, digits or characters of _+=,.@-."
  }
}

variable "path" {
  description = "Path of the policies."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([\\w+=,.@-]+/)*$", var.path))
    error_message = "The path must begin and end with a slash."
  }
}

variable "regions" {
  description = "Regions in which operators may open sessions; `*` is all."
  type        = list(string)
  default     = ["*"]
  nullable    = false

  validation {
    condition     = length(var.regions) > 0 && alltrue([for region in var.regions : can(regex("^([*]|[a-z]{2,4}(-[a-z]+)+-[0-9])$", region))])
    error_message = "The regions must be names of regions, or [\"*\"] for all."
  }
}

variable "s3" {
  description = "Bucket of the session logs that auditors read below `key_prefix`, which may go on with an account (`sessionmanager/111122223333`); `kms_key_arn` is the key of a bucket encrypted with SSE-KMS. `null` grants nothing on S3."
  type = object({
    bucket_name = string
    key_prefix  = optional(string, "sessionmanager")
    kms_key_arn = optional(string)
  })
  default = null

  validation {
    condition     = var.s3 == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.s3.bucket_name))
    error_message = "The s3.bucket_name must be a bucket's name without dots (dots break TLS host names)."
  }

  validation {
    condition     = var.s3 == null || can(regex("^([\\w.=-]+(/[\\w.=-]+)*)?$", var.s3.key_prefix)) && !can(regex("[.][.]|(^|/)[.](/|$)", var.s3.key_prefix))
    error_message = "The s3.key_prefix must be letters, digits and _.=- in parts separated by single slashes, without a slash at either end, without \"..\" and without \".\" as a part."
  }

  validation {
    condition     = try(var.s3.kms_key_arn, null) == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[\\w-]+$", var.s3.kms_key_arn))
    error_message = "The s3.kms_key_arn must be the ARN of a key, not of an alias."
  }
}

variable "session_key_arns" {
  description = "Session-data keys given by their ARNs, such as the one that the organization shares; they may belong to other accounts."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.session_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[\\w-]+$", arn))])
    error_message = "The session_key_arns must be ARNs of keys, not of aliases."
  }
}

variable "tags" {
  description = "Tags of the policies."
  type        = map(string)
  default     = {}
  nullable    = false
}
