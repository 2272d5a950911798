variable "policy_name" {
  description = "Name of a policy that exists already and that the roles of instances must have."
  type        = string
  default     = "SessionManagerLogPolicy"
}

variable "region" {
  description = "Home region of the account: the one in which AWS Config records IAM roles."
  type        = string
  default     = "eu-west-1"
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { example = "config_rule" }
}
