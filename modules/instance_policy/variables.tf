variable "attach_managed_instance_core" {
  description = "Also attach `AmazonSSMManagedInstanceCore` to the `attach_to_roles`: the agent's base permissions, without which an instance accepts no session."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.attach_managed_instance_core || length(var.attach_to_roles) > 0
    error_message = "The attach_managed_instance_core has no effect without attach_to_roles."
  }
}

variable "attach_to_roles" {
  description = "Names of existing roles to attach the policy to. Leave it empty if the Config rule or the roles' owners attach it."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.attach_to_roles : can(regex("^[\\w+=,.@-]{1,64}$", name))])
    error_message = "The attach_to_roles must be role names without paths: 1 to 64 letters, digits or characters of _+=,.@-."
  }
}

variable "log_group_name" {
  description = "CloudWatch log group of the session logs, in any region of the account. Empty grants no access to CloudWatch Logs."
  type        = string
  default     = "ssm-sessionmanager-logs"
  nullable    = false

  validation {
    condition     = can(regex("^[\\w./#-]{0,512}$", var.log_group_name)) && !can(regex("^(?i:aws)/", var.log_group_name))
    error_message = "The log_group_name must have at most 512 letters, digits or characters of _-/.#, and not begin with aws/."
  }
}

variable "name" {
  description = "Name of the policy."
  type        = string
  default     = "SessionManagerLogPolicy"
  nullable    = false
}

variable "other_log_buckets" {
  description = "Further buckets that instances of other regions log to, with the attributes of `s3`: the policy exists once per account."
  type = list(object({
    bucket_name        = string
    bucket_account_id  = optional(string)
    key_prefix         = optional(string, "sessionmanager")
    kms_key_arn        = optional(string)
    kms_key_account_id = optional(string)
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for bucket in var.other_log_buckets : can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", bucket.bucket_name))])
    error_message = "The other_log_buckets must have names of buckets without dots (dots break TLS host names)."
  }

  validation {
    condition     = alltrue([for bucket in var.other_log_buckets : can(regex("^([\\w.=-]+(/[\\w.=-]+)*)?$", bucket.key_prefix)) && !can(regex("[.][.]|(^|/)[.](/|$)", bucket.key_prefix))])
    error_message = "The other_log_buckets must have key_prefixes of letters, digits and _.=- in parts separated by single slashes, without a slash at either end, without \"..\" and without \".\" as a part."
  }

  validation {
    condition     = alltrue([for bucket in var.other_log_buckets : bucket.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[\\w-]+$", bucket.kms_key_arn))])
    error_message = "The other_log_buckets must have a kms_key_arn of a key, not of an alias."
  }

  validation {
    condition     = alltrue([for bucket in var.other_log_buckets : alltrue([for id in compact([bucket.bucket_account_id, bucket.kms_key_account_id]) : can(regex("^[0-9]{12}$", id))])])
    error_message = "The other_log_buckets must have accounts of exactly 12 digits; quote them, so that leading zeros stay."
  }

  validation {
    condition     = alltrue([for bucket in var.other_log_buckets : bucket.kms_key_arn == null || bucket.kms_key_account_id == null])
    error_message = "The other_log_buckets must have a kms_key_arn or a kms_key_account_id, not both: the ARN names the account."
  }
}

variable "path" {
  description = "Path of the policy."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([\\w+=,.@-]+/)*$", var.path)) && length(var.path) <= 512
    error_message = "The path must begin and end with a slash and have letters, digits or characters of _+=,.@- between, at most 512 in all."
  }
}

variable "s3" {
  description = "Bucket of the session logs: `bucket_account_id` is the account that owns it (`null`: the account of the bucket's key, or this account); `key_prefix` is the prefix above the account's folder; `kms_key_arn` is the key of a bucket encrypted with SSE-KMS, or `kms_key_account_id` the account of that key if its ARN is unknown. `null` grants no access to S3."
  type = object({
    bucket_name        = string
    bucket_account_id  = optional(string)
    key_prefix         = optional(string, "sessionmanager")
    kms_key_arn        = optional(string)
    kms_key_account_id = optional(string)
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

  validation {
    condition     = try(var.s3.kms_key_account_id, null) == null || can(regex("^[0-9]{12}$", var.s3.kms_key_account_id))
    error_message = "The s3.kms_key_account_id must have exactly 12 digits; quote it, so that leading zeros stay."
  }

  validation {
    condition     = try(var.s3.bucket_account_id, null) == null || can(regex("^[0-9]{12}$", var.s3.bucket_account_id))
    error_message = "The s3.bucket_account_id must have exactly 12 digits; quote it, so that leading zeros stay."
  }

  validation {
    condition     = try(var.s3.kms_key_arn, null) == null || try(var.s3.kms_key_account_id, null) == null
    error_message = "The s3.kms_key_arn and the s3.kms_key_account_id exclude each other: the ARN names the account."
  }
}

variable "session_key_alias" {
  description = "Alias of the account's session-data keys: the policy allows every key with this alias. `null` allows the `session_key_arns` only."
  type        = string
  default     = "alias/session-manager/data"

  validation {
    condition     = var.session_key_alias == null || can(regex("^alias/[\\w/-]{1,250}$", var.session_key_alias)) && !can(regex("^alias/aws/", var.session_key_alias))
    error_message = "The session_key_alias must begin with alias/, but not with alias/aws/, which AWS reserves, and go on with letters, digits or characters of _/-."
  }
}

variable "session_key_arns" {
  description = "ARNs of further session-data keys, in any account and region."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.session_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[\\w-]+$", arn))])
    error_message = "The session_key_arns must be ARNs of keys, not of aliases."
  }
}

variable "session_key_regions" {
  description = "Regions in which keys with the `session_key_alias` may be used; `*` for all."
  type        = list(string)
  default     = ["*"]
  nullable    = false

  validation {
    condition     = length(var.session_key_regions) > 0 && alltrue([for region in var.session_key_regions : can(regex("^([*]|[a-z]{2,4}(-[a-z]+)+-[0-9])$", region))])
    error_message = "The session_key_regions must be names of regions, or [\"*\"] for all."
  }
}

variable "tags" {
  description = "Tags of the policy."
  type        = map(string)
  default     = {}
  nullable    = false
}
