variable "attach_to" {
  description = "Ids of the root, organizational units and accounts to attach the SCP to. Empty creates no SCP; the outputs have its text."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.attach_to : can(regex("^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|[0-9]{12})$", id))])
    error_message = "The attach_to must be ids of a root (r-abcd), of organizational units (ou-abcd-12345678) or of accounts (12 digits)."
  }
}

variable "boundary" {
  description = "The same denials as a permissions boundary in the account in which this module runs, for organizations without SCPs."
  type = object({
    enabled = optional(bool, false)
    name    = optional(string, "SessionManagerBoundary")
    path    = optional(string, "/")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^/([\\w+=,.@-]+/)*$", var.boundary.path))
    error_message = "The boundary.path must begin and end with a slash."
  }
}

variable "config_rule_tag" {
  description = "Tag by which the statement KeepConfigRule identifies the rule: set the same tag in `tags` of config_rule."
  type = object({
    key   = optional(string, "session-manager")
    value = optional(string, "config-rule")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^[\\w .:/=+@-]{1,128}$", var.config_rule_tag.key)) && can(regex("^[\\w .:/=+@-]{1,256}$", var.config_rule_tag.value))
    error_message = "The config_rule_tag must have a key of 1 to 128 and a value of 1 to 256 letters, digits, spaces or characters of _.:/=+-@."
  }
}

variable "deny" {
  description = "Which groups of actions to deny to all but the exempt roles; see README."
  type = object({
    preferences            = optional(bool, true)
    public_sharing         = optional(bool, true)
    ssh                    = optional(bool, true)
    port_forwarding        = optional(bool, true)
    other_documents        = optional(bool, true)
    keys                   = optional(bool, true)
    log_groups             = optional(bool, true)
    subscription_filters   = optional(bool, true)
    account_log_policies   = optional(bool, true)
    function               = optional(bool, true)
    drift_repair           = optional(bool, true)
    cloudtrail             = optional(bool, true)
    config_rule            = optional(bool, true)
    config_recorder        = optional(bool, true)
    remediation_exceptions = optional(bool, true)
    instance_policy        = optional(bool, true)
    exempt_roles           = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = anytrue(values(var.deny))
    error_message = "The deny must leave at least one statement on, or the policy would be empty."
  }
}

variable "exempt_role_arns" {
  description = "ARNs, or ARN patterns, of the roles to which nothing is denied: the deployment role and emergency roles. The function's roles and the Automation role are exempt by name."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.exempt_role_arns) > 0
    error_message = "The exempt_role_arns must name at least the deployment role: otherwise no principal could change or remove what this project creates."
  }

  # A pattern needs a literal part in the name: role/* would exempt every role.
  validation {
    condition     = alltrue([for arn in var.exempt_role_arns : can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|[*]):role/[\\w+=,.@/*?-]*[\\w+=,.@-]{3}[\\w+=,.@*?-]*$", arn))])
    error_message = "The exempt_role_arns must be ARNs of roles such as arn:aws:iam::*:role/AWSControlTowerExecution, in which * and ? may stand for other characters but not for the whole name."
  }
}

variable "log_archive" {
  description = "Bucket of the session logs and aliases of the keys, in the account of the log archive: `null` leaves them out. With a `key_prefix` only the objects below it are protected: for a bucket that others use, too. `other_buckets` are those of further regions."
  type = object({
    bucket_name = string
    key_prefix  = optional(string)
    key_aliases = optional(set(string), [])
    other_buckets = optional(list(object({
      bucket_name = string
      key_prefix  = optional(string)
    })), [])
  })
  default = null

  validation {
    condition     = alltrue([for bucket in flatten([var.log_archive[*], try(var.log_archive.other_buckets, [])]) : can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", bucket.bucket_name))])
    error_message = "The log_archive.bucket_name must be a bucket's name without dots (dots break TLS host names)."
  }

  validation {
    condition     = alltrue([for bucket in flatten([var.log_archive[*], try(var.log_archive.other_buckets, [])]) : bucket.key_prefix == null || (can(regex("^[\\w.=-]+(/[\\w.=-]+)*$", bucket.key_prefix)) && !can(regex("[.][.]|(^|/)[.](/|$)", bucket.key_prefix)))])
    error_message = "The log_archive.key_prefix must be letters, digits and _.=- in parts separated by single slashes, without a slash at either end, without \"..\" and without \".\" as a part; null protects the whole bucket."
  }

  validation {
    condition     = alltrue([for alias in try(var.log_archive.key_aliases, []) : can(regex("^alias/[\\w/-]{1,250}$", alias))])
    error_message = "The log_archive.key_aliases must begin with alias/ and go on with letters, digits or characters of _/-."
  }
}

variable "logged_session_documents" {
  description = "Further documents that may start sessions although `deny.other_documents` is true, such as a team's document that logs to the log archive: only the exempt roles may create, change, share and delete documents of these names."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.logged_session_documents : can(regex("^[\\w.-]{3,128}$", name))])
    error_message = "The logged_session_documents must be names of documents: 3 to 128 letters, digits or characters of _.-."
  }

  validation {
    condition     = length(var.logged_session_documents) == 0 || var.deny.other_documents
    error_message = "The logged_session_documents have no effect unless deny.other_documents is true."
  }

  validation {
    condition     = length(setintersection(var.logged_session_documents, var.other_session_documents)) == 0
    error_message = "The logged_session_documents and other_session_documents must not name the same documents."
  }
}

variable "name" {
  description = "Name of the SCP."
  type        = string
  default     = "session-manager-guardrails"
  nullable    = false

  validation {
    condition     = can(regex("^[\\w .,@+=/-]{1,128}$", var.name))
    error_message = "The name must have 1 to 128 letters, digits, spaces or characters of _.,@+=/-."
  }
}

variable "names" {
  description = "Names of the resources to protect, as set in the other modules."
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

  # Names must not be patterns: a star would deny actions on other resources.
  validation {
    condition     = alltrue([for name in values(var.names) : can(regex("^[\\w+=,.@/#-]{1,512}$", name))])
    error_message = "The names must have letters, digits or characters of _+=,.@/#-, and no wildcards."
  }

  validation {
    condition     = alltrue([for alias in [var.names.data_key_alias, var.names.logs_key_alias] : startswith(alias, "alias/")])
    error_message = "The names.data_key_alias and names.logs_key_alias must begin with alias/."
  }

  validation {
    condition     = startswith(var.names.data_key_parameter, "/")
    error_message = "The names.data_key_parameter must begin with a slash."
  }

  validation {
    condition     = can(regex("^/([\\w+=,.@-]+/)*$", var.names.policy_path))
    error_message = "The names.policy_path must begin and end with a slash."
  }
}

variable "other_session_documents" {
  description = "Further documents that may start sessions although `deny.other_documents` is true, such as a team's document with logging."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.other_session_documents : can(regex("^[\\w.-]{3,128}$", name))])
    error_message = "The other_session_documents must be names of documents: 3 to 128 letters, digits or characters of _.-."
  }

  validation {
    condition     = length(var.other_session_documents) == 0 || var.deny.other_documents
    error_message = "The other_session_documents have no effect unless deny.other_documents is true."
  }
}

variable "scp_length_limit" {
  description = "Characters that an SCP may have: AWS Organizations accepts 10,240 since May 2026. Set 5120 where the quota of your organization is not raised."
  type        = number
  default     = 10240
  nullable    = false

  validation {
    condition     = var.scp_length_limit >= 1 && floor(var.scp_length_limit) == var.scp_length_limit
    error_message = "The scp_length_limit must be a whole number of at least 1."
  }
}

variable "tags" {
  description = "Tags of the policies."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "unlogged_session_role_arns" {
  description = "ARNs, or ARN patterns, of roles that may start sessions with any document; all other denials apply to them."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.unlogged_session_role_arns : can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|[*]):role/[\\w+=,.@/*?-]*[\\w+=,.@-]{3}[\\w+=,.@*?-]*$", arn))])
    error_message = "The unlogged_session_role_arns must be ARNs of roles such as arn:aws:iam::*:role/database-support, in which * and ? may stand for other characters but not for the whole name."
  }
}
