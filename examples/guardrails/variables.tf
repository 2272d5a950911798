variable "attach_to" {
  description = "Ids of the root, organizational units and accounts that get the SCP."
  type        = set(string)
  default     = []
}

variable "exempt_roles" {
  description = "Roles of the members that nothing is denied to: the one that deploys, and the one for emergencies."
  type        = set(string)
  default     = ["AWSControlTowerExecution", "break-glass"]
}

variable "region" {
  description = "Region to work in."
  type        = string
  default     = "eu-west-1"
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { example = "guardrails" }
}
