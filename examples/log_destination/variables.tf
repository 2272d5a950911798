variable "delivery_stream_name" {
  description = "Existing Firehose delivery stream in this account and region that receives the logs."
  type        = string
  default     = "session-logs"
}

variable "name" {
  description = "Name of the destination."
  type        = string
  default     = "session-manager-logs"
}

variable "organization_id" {
  description = "Id of your organization."
  type        = string
  default     = "o-exampleorgid"
}

variable "region" {
  description = "Region to work in."
  type        = string
  default     = "eu-west-1"
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { example = "log_destination" }
}
