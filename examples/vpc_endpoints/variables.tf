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
  default     = { example = "vpc_endpoints" }
}
