variable "instance_role_name" {
  description = "Existing role of the instances."
  type        = string
}

variable "key_arn" {
  description = "Existing key for session data and for the log group."
  type        = string
}

variable "log_group_name" {
  description = "Existing log group, encrypted with a KMS key."
  type        = string
}

variable "region" {
  description = "Region to work in."
  type        = string
  default     = "eu-west-1"
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { example = "existing_resources" }
}
