variable "bucket_name" {
  description = "Name of the bucket; `null` takes one from the account and the region."
  type        = string
  default     = null
}

variable "organization_id" {
  description = "Id of your organization."
  type        = string
  default     = "o-exampleorgid"
}

variable "reader_role_arns" {
  description = "Roles that may read the logs."
  type        = set(string)
  default     = ["arn:aws:iam::111122223333:role/SessionLogAuditor"]
}

variable "region" {
  description = "Region to work in."
  type        = string
  default     = "eu-west-1"
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { example = "log_archive" }
}
