variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { example = "many_regions" }
}
