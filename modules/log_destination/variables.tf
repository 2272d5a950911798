variable "account_ids" {
  description = "Ids of accounts that may send, besides those of the organization."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "The account_ids must have exactly 12 digits each; quote them, so that leading zeros stay."
  }
}

variable "name" {
  description = "Name of the destination; its role is called `<name>-<region>`."
  type        = string
  default     = "session-manager-logs"
  nullable    = false

  validation {
    condition     = can(regex("^[\\w-]{1,49}$", var.name))
    error_message = "The name must have 1 to 49 letters, digits or characters of _-."
  }
}

variable "organization_id" {
  description = "Id of the organization whose accounts may send, such as `o-exampleorgid`; `null` for the `account_ids` only."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "The organization_id must be the id of an organization, such as o-exampleorgid."
  }

  validation {
    condition     = var.organization_id != null || length(var.account_ids) > 0
    error_message = "The organization_id or the account_ids must say who may send."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "target_arn" {
  description = "ARN of what receives the logs: a Kinesis stream or a Firehose delivery stream of this account, in any region."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:(kinesis:[a-z0-9-]+:[0-9]{12}:stream/[\\w.-]{1,128}|firehose:[a-z0-9-]+:[0-9]{12}:deliverystream/[\\w.-]{1,64})$", var.target_arn))
    error_message = "The target_arn must be the ARN of a Kinesis stream or of a Firehose delivery stream."
  }
}

variable "target_kms_key_arn" {
  description = "ARN of the KMS key of an encrypted Kinesis stream, with which the role then may encrypt; `null` for none."
  type        = string
  default     = null

  validation {
    condition     = var.target_kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[\\w-]+$", var.target_kms_key_arn))
    error_message = "The target_kms_key_arn must be the ARN of a key, not of an alias."
  }
}
