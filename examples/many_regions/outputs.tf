output "session_key_arns" {
  description = "Keys on which the people who open sessions need kms:GenerateDataKey, by region."
  value = {
    eu-west-1 = module.preferences_eu_west_1.session_key_arn
    us-east-1 = module.preferences_us_east_1.session_key_arn
  }
}
