variable "bucket_name" {
  description = "Bucket for session logs, with default encryption."
  type        = string
}

variable "notify_topic_arn" {
  description = "SNS topic that hears of repairs."
  type        = string
}

variable "organization_id" {
  description = "Organization whose people open sessions."
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
  default     = { example = "complete" }
}
