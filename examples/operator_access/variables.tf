variable "log_bucket_name" {
  description = "Bucket of the session logs."
  type        = string
  default     = "example-session-logs"
}

variable "region" {
  description = "Region to work in."
  type        = string
  default     = "eu-west-1"
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { example = "operator_access" }
}
