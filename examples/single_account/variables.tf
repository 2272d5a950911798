variable "auto_remediation" {
  description = "Whether AWS Config attaches the policy by itself."
  type        = bool
  default     = false
}

variable "region" {
  description = "Home region of the account: the one in which AWS Config records IAM roles."
  type        = string
  default     = "eu-west-1"
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { example = "single_account" }
}
