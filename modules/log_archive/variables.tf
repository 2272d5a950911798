variable "access_logging" {
  description = "Server access logs: the existing target bucket, in the same account and region, and the key prefix. `null` disables them."
  type = object({
    bucket_name = string
    key_prefix  = optional(string, "session-manager-logs/")
  })
  default = null

  validation {
    condition     = var.access_logging == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.access_logging.bucket_name))
    error_message = "The access_logging.bucket_name must be a bucket's name."
  }

  validation {
    condition     = var.access_logging == null || var.existing_bucket_name == null
    error_message = "The access_logging has no effect on a bucket that exists: leave it out, or leave out the existing_bucket_name."
  }

  validation {
    condition     = var.access_logging == null || try(var.access_logging.bucket_name != var.bucket_name, true)
    error_message = "The access_logging.bucket_name must be another bucket: every access log would be logged, without end."
  }
}

variable "bucket_key" {
  description = "Key that encrypts the bucket: `kms_key_arn`, or a created key with the `alias`. An existing key needs the statements of `key_policy_statements_json` in its policy."
  type = object({
    kms_key_arn = optional(string)
    alias       = optional(string, "alias/session-manager/log-archive")
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.bucket_key.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[\\w-]+$", var.bucket_key.kms_key_arn))
    error_message = "The bucket_key.kms_key_arn must be the ARN of a key, not of an alias: instances of other accounts would look for an alias in their own."
  }

  validation {
    condition     = try(split(":", var.bucket_key.kms_key_arn)[3] == local.region, true)
    error_message = "The bucket_key.kms_key_arn must be a key of region ${local.region}, where the bucket is."
  }
}

variable "bucket_name" {
  description = "Name of the created bucket; bucket names are global. `null` is `session-manager-logs-<account>-<region>`."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "The bucket_name must have 3 to 63 lower-case letters, digits or hyphens, and no dots (dots break TLS host names)."
  }

  validation {
    condition     = var.bucket_name == null || !can(regex("^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|--x-s3|--table-s3)$", var.bucket_name))
    error_message = "The bucket_name begins or ends with a text that S3 reserves: xn--, sthree-, amzn-s3-demo-, -s3alias, --ol-s3, --x-s3 or --table-s3."
  }

  validation {
    condition     = var.bucket_name == null || var.existing_bucket_name == null
    error_message = "The bucket_name names a bucket to create and the existing_bucket_name one that exists: give one of them."
  }
}

variable "existing_bucket_name" {
  description = "Existing bucket to use. Nothing on it is changed: add the statements of `bucket_policy_statements_json` to its policy and make `bucket_key_arn` its default encryption key. It must be in this region and have no dots in its name. `null` creates a bucket."
  type        = string
  default     = null

  validation {
    condition     = var.existing_bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.existing_bucket_name))
    error_message = "The existing_bucket_name must be a bucket's name without dots (dots break TLS host names)."
  }
}

variable "key_prefix" {
  description = "Prefix above the account folders: a log is at `<key_prefix>/<account>/<region>/<session>.log`."
  type        = string
  default     = "sessionmanager"
  nullable    = false

  validation {
    condition     = can(regex("^([\\w.=-]+(/[\\w.=-]+)*)?$", var.key_prefix)) && !can(regex("[.][.]|(^|/)[.](/|$)", var.key_prefix))
    error_message = "The key_prefix must be letters, digits and _.=- in parts separated by single slashes, without a slash at either end, without \"..\" and without \".\" as a part."
  }

  validation {
    condition     = var.key_prefix != "" || var.existing_bucket_name == null
    error_message = "The key_prefix must not be empty for a bucket that exists: the policy statements would apply to the whole bucket."
  }
}

variable "object_lock" {
  description = "Retention by S3 Object Lock, in `days`. In `COMPLIANCE` mode no principal, not even root, can delete a log; in `GOVERNANCE` mode only principals with s3:BypassGovernanceRetention, which the bucket policy denies to all. Object Lock cannot be disabled later. `null` locks nothing."
  type = object({
    mode = optional(string, "GOVERNANCE")
    days = number
  })
  default = null

  validation {
    condition     = var.object_lock == null || try(var.object_lock.days >= 1 && var.object_lock.days <= 36500 && floor(var.object_lock.days) == var.object_lock.days, false)
    error_message = "The object_lock.days must be a whole number from 1 to 36500."
  }

  validation {
    condition     = var.object_lock == null || var.existing_bucket_name == null
    error_message = "The object_lock has no effect on a bucket that exists: leave it out, or leave out the existing_bucket_name."
  }
}

variable "organization_id" {
  description = "Id of the organization whose accounts write to the bucket, such as `o-exampleorgid`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "The organization_id must be the id of an organization, such as o-exampleorgid."
  }
}

variable "reader_role_arns" {
  description = "ARNs of the only roles, in any account of the organization, that may read the logs. Include paths, for example for a permission set: `arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Auditor_0123456789abcdef`."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.reader_role_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/([\\w+=,.@-]+/)*[\\w+=,.@-]{1,64}$", arn))])
    error_message = "The reader_role_arns must be ARNs of single roles, without wildcards."
  }
}

variable "retention" {
  description = "Retention of logs: `days` after upload (0: forever), `noncurrent_days` for overwritten or deleted versions (0: forever), and `transitions` to other storage classes."
  type = object({
    days            = optional(number, 365)
    noncurrent_days = optional(number, 90)
    transitions     = optional(list(object({ days = number, storage_class = string })), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for days in [var.retention.days, var.retention.noncurrent_days] : days >= 0 && floor(days) == days])
    error_message = "The retention.days and retention.noncurrent_days must be whole numbers: at least 1, or 0 for no expiry."
  }

  validation {
    condition     = alltrue([for transition in var.retention.transitions : transition.days >= (endswith(transition.storage_class, "_IA") ? 30 : 0) && floor(transition.days) == transition.days])
    error_message = "The days of each of the retention.transitions must be a whole number, for STANDARD_IA and ONEZONE_IA at least 30."
  }

  validation {
    condition = alltrue([
      for number in range(max(0, length(var.retention.transitions) - 1)) :
      var.retention.transitions[number].days < var.retention.transitions[number + 1].days
    ])
    error_message = "The retention.transitions must be in the order of their days."
  }

  # S3 moves objects down this list only.
  validation {
    condition = try(alltrue([
      for number in range(max(0, length(var.retention.transitions) - 1)) :
      index(["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"], var.retention.transitions[number].storage_class)
      < index(["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"], var.retention.transitions[number + 1].storage_class)
    ]), true)
    error_message = "The retention.transitions must go down from STANDARD_IA over INTELLIGENT_TIERING, ONEZONE_IA, GLACIER_IR and GLACIER to DEEP_ARCHIVE."
  }

  validation {
    condition = alltrue([
      for number in range(max(0, length(var.retention.transitions) - 1)) :
      var.retention.transitions[number].storage_class != "ONEZONE_IA" || var.retention.transitions[number + 1].storage_class != "GLACIER_IR"
    ])
    error_message = "The retention.transitions must not go from ONEZONE_IA to GLACIER_IR: S3 does not support this transition."
  }

  # S3 charges for 30 days in these classes, and refuses a rule that moves objects on earlier.
  validation {
    condition = alltrue([
      for number in range(max(0, length(var.retention.transitions) - 1)) :
      var.retention.transitions[number + 1].days - var.retention.transitions[number].days >= 30
      if endswith(var.retention.transitions[number].storage_class, "_IA")
    ])
    error_message = "The retention.transitions must leave logs in STANDARD_IA and ONEZONE_IA for at least 30 days before the next class."
  }

  validation {
    condition     = var.retention.days == 0 || alltrue([for transition in var.retention.transitions : transition.days < var.retention.days])
    error_message = "The days of the retention.transitions must be fewer than the retention.days, when the logs are deleted."
  }

  validation {
    condition     = var.retention.days == 0 || try(var.object_lock.days <= var.retention.days, true)
    error_message = "The retention.days must not be fewer than the object_lock.days: logs that are locked cannot be deleted."
  }
}

variable "session_key" {
  description = "Key with which the whole organization may encrypt session data: `mode` is `none` (each account has its own), `separate` (creates one with the `alias`) or `shared` (the bucket's key). A key works for sessions in its region only."
  type = object({
    mode  = optional(string, "none")
    alias = optional(string, "alias/session-manager/organization-data")
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["none", "separate", "shared"], var.session_key.mode)
    error_message = "The session_key.mode must be none, separate or shared."
  }

  validation {
    condition     = var.session_key.alias != var.bucket_key.alias
    error_message = "The session_key.alias and the bucket_key.alias must differ."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
