output "bucket_key_arn" {
  description = "Key that encrypts the bucket."
  value       = module.log_archive.bucket_key_arn
}

output "bucket_policy" {
  description = "What the policy of the bucket says."
  value       = module.log_archive.bucket_policy_statements_json
}

output "s3" {
  description = "What the `s3` settings of every other account need."
  value       = module.log_archive.s3
}

output "session_key_arn" {
  description = "Key for session data of the whole organization."
  value       = module.log_archive.session_key_arn
}
