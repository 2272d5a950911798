output "bucket_arn" {
  description = "ARN of the bucket."
  value       = local.bucket_arn

  # Dependents of the bucket also wait for its policy and settings.
  depends_on = [aws_s3_bucket_policy.this, aws_s3_bucket_server_side_encryption_configuration.this]
}

output "bucket_key_arn" {
  description = "ARN of the key that encrypts the bucket."
  value       = local.bucket_key_arn
}

output "bucket_name" {
  description = "Name of the bucket."
  value       = local.bucket_name

  depends_on = [aws_s3_bucket_policy.this, aws_s3_bucket_server_side_encryption_configuration.this]
}

output "bucket_policy_statements_json" {
  description = "Policy document with the statements that the bucket needs: merge it into the policy of an existing bucket, for example as one of `source_policy_documents`."
  value       = data.aws_iam_policy_document.bucket.json
}

output "key_policy_statements_json" {
  description = "Policy document with the statements that the key of the bucket needs, without the administration of the key: merge it into the policy of an existing key."
  value       = data.aws_iam_policy_document.bucket_key_use.json
}

output "s3" {
  description = "Where members log to: what the `s3` settings of their instance policy and preferences need, by the same names."
  value = {
    bucket_name        = local.bucket_name
    key_prefix         = var.key_prefix
    kms_key_account_id = local.creates_bucket_key ? local.account_id : split(":", var.bucket_key.kms_key_arn)[4]
  }

  depends_on = [aws_s3_bucket_policy.this, aws_s3_bucket_server_side_encryption_configuration.this]
}

output "session_key_arn" {
  description = "ARN of the key for session data of the whole organization; null without one."
  value       = local.session_key_arn
}
