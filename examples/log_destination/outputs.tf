output "destination_arn" {
  description = "What `cloudwatch.subscription.destination_arn` of the accounts that send needs."
  value       = module.log_destination.destination_arn
}
