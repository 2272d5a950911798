variable "organization_id" {
  description = "Id of the organization, whose accounts' roles alone may be assumed."
  type        = string
  default     = "o-exampleorgid"
}

variable "region" {
  description = "Region of the provider; the roles are global."
  type        = string
  default     = "eu-west-1"
}

variable "repository" {
  description = "Repository on GitHub that runs the rollout, as owner/name."
  type        = string
  default     = "example/landing-zone"
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { example = "deployment_roles" }
}
