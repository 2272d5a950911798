variable "auto_remediation" {
  description = "Whether AWS Config attaches the policy by itself. Otherwise roles are only flagged, for remediation by hand."
  type        = bool
  default     = false
  nullable    = false
}

variable "automation_document_name" {
  description = "Name of the Automation document that attaches the policy, and of the role that it assumes."
  type        = string
  default     = "Attach-ssm-policy-to-instance-profile"
  nullable    = false

  validation {
    condition     = can(regex("^[\\w.-]{3,64}$", var.automation_document_name)) && !can(regex("^(?i:aws|amazon|amzn)", var.automation_document_name))
    error_message = "The automation_document_name must have 3 to 64 letters, digits or characters of _.- and must not begin with aws, amazon or amzn, which AWS reserves."
  }
}

variable "concurrent_execution_rate_percentage" {
  description = "Share of the non-compliant roles that are remediated at the same time: 1 to 100 percent."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = contains(range(1, 101), var.concurrent_execution_rate_percentage)
    error_message = "The concurrent_execution_rate_percentage must be a whole number from 1 to 100."
  }
}

variable "error_percentage" {
  description = "Share of failed remediations at which AWS Config starts no more of them: 1 to 100 percent."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = contains(range(1, 101), var.error_percentage)
    error_message = "The error_percentage must be a whole number from 1 to 100."
  }
}

variable "excluded_role_names" {
  description = "Names of roles that are neither judged nor remediated; `*` stands for any text, `?` for one character. They are case-sensitive."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.excluded_role_names : can(regex("^[\\w+=,.@*?-]{1,64}$", name))])
    error_message = "The excluded_role_names must have 1 to 64 letters, digits or characters of _+=,.@-, or * and ? for any of them; a path belongs in excluded_role_paths."
  }

  validation {
    condition     = alltrue([for name in var.excluded_role_names : can(regex("[^*?]", name))])
    error_message = "The excluded_role_names must not be wildcards only, which would exclude every role of the account."
  }
}

variable "excluded_role_paths" {
  description = "Paths of roles that are neither judged nor remediated, with everything below them. The roles that AWS manages, under `/aws-service-role/` and `/aws-reserved/`, are always excluded."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for path in var.excluded_role_paths : can(regex("^/([\\w+=,.@-]+/)+$", path)) && length(path) <= 512])
    error_message = "The excluded_role_paths must begin and end with a slash and have letters, digits or characters of _+=,.@- between, at most 512 in all."
  }
}

variable "home_region" {
  description = "Region in which AWS Config records the account's IAM roles. IAM is global: anywhere else the rule would judge nothing, or every role once more."
  type        = string
  nullable    = false
}

variable "maximum_automatic_attempts" {
  description = "Failed automatic remediations of a role after which AWS Config gives up: 1 to 25."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = contains(range(1, 26), var.maximum_automatic_attempts)
    error_message = "The maximum_automatic_attempts must be a whole number from 1 to 25."
  }
}

variable "name" {
  description = "Name of the Config rule."
  type        = string
  default     = "iam-ec2-role-has-required-policy"
  nullable    = false

  validation {
    condition     = can(regex("^[\\w-]{1,128}$", var.name))
    error_message = "The name must have 1 to 128 letters, digits or characters of _-."
  }
}

variable "policy_arn" {
  description = "ARN of the managed policy of this account that the roles must have: the one of the module `instance_policy`, or your own with the same permissions."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:policy/([\\w+=,.@-]+/)*[\\w+=,.@-]{1,128}$", var.policy_arn))
    error_message = "The policy_arn must be the ARN of a customer managed policy."
  }
}

variable "retry_attempt_seconds" {
  description = "Time in which the automatic attempts are counted: 1 to 2678000 seconds."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.retry_attempt_seconds >= 1 && var.retry_attempt_seconds <= 2678000 && floor(var.retry_attempt_seconds) == var.retry_attempt_seconds
    error_message = "The retry_attempt_seconds must be a whole number from 1 to 2678000."
  }
}

variable "tags" {
  description = "Tags of the rule, the document and the role."
  type        = map(string)
  default     = {}
  nullable    = false
}
