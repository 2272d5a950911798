variable "auto_remediation" {
  description = "Whether AWS Config attaches the policy automatically. Otherwise it only reports the roles, for manual remediation."
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
  description = "Percentage of the non-compliant roles that are remediated concurrently: 1 to 100."
  type        = number
  default     = 10
  nullable    = false
}

variable "error_percentage" {
  description = "Percentage of failed remediations at which AWS Config stops starting more: 1 to 100."
  type        = number
  default     = 10
  nullable    = false
}

variable "excluded_role_names" {
  description = "Names of roles that are neither evaluated nor remediated; `*` matches any text, `?` one character. Case-sensitive."
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
  description = "Paths of roles that are neither evaluated nor remediated, including all paths below them. The roles that AWS manages, under `/aws-service-role/` and `/aws-reserved/`, are always excluded."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for path in var.excluded_role_paths : can(regex("^/([\\w+=,.@-]+/)+$", path)) && length(path) <= 512])
    error_message = "The excluded_role_paths must begin and end with a slash and have letters, digits or characters of _+=,.@- between, at most 512 in all."
  }
}

variable "home_region" {
  description = "Region in which AWS Config records the account's IAM roles. IAM is global: in any other region the rule would evaluate no roles, or evaluate every role twice."
  type        = string
  nullable    = false
}

variable "maximum_automatic_attempts" {
  description = "Automatic remediation attempts for a role before AWS Config stops: 1 to 25."
  type        = number
  default     = 5
  nullable    = false
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

variable "nodes" {
  description = "Managed nodes whose roles are judged and remediated: `instance_profiles` are roles that EC2 may assume, with an instance profile; `default_host_management` and `hybrid` are roles that Systems Manager may assume, with AWS's `AmazonSSMManagedEC2InstanceDefaultPolicy` and `AmazonSSMManagedInstanceCore`. With `inline_at_quota`, a role that has as many managed policies as it may gets the policy as an inline copy: the Automation role may then write inline policies of all roles that are not excluded."
  type = object({
    instance_profiles       = optional(bool, true)
    default_host_management = optional(bool, true)
    hybrid                  = optional(bool, true)
    inline_at_quota         = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.nodes.instance_profiles || var.nodes.default_host_management || var.nodes.hybrid
    error_message = "The nodes must include instance_profiles, default_host_management or hybrid: without any, the rule would judge no role."
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
  description = "Seconds within which the automatic attempts are counted: 1 to 2678000."
  type        = number
  default     = 60
  nullable    = false
}

variable "tags" {
  description = "Tags of the rule, the document and the role."
  type        = map(string)
  default     = {}
  nullable    = false
}
