data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # `name` is deprecated since version 6 of the provider, and version 5 has no `region`.
  region = lookup(data.aws_region.current, "region", lookup(data.aws_region.current, "name", null))

  creates_bucket      = var.existing_bucket_name == null
  creates_bucket_key  = var.bucket_key.kms_key_arn == null
  creates_session_key = var.session_key.mode == "separate"

  # By its name and not by the resource: the policy of the key names the bucket, which waits for the key.
  bucket_name = coalesce(var.existing_bucket_name, var.bucket_name, "session-manager-logs-${local.account_id}-${local.region}")
  bucket_arn  = "arn:${local.partition}:s3:::${local.bucket_name}"

  # Of the bucket, everything is guarded; of a bucket that others use, too, the session logs only.
  log_objects_arn     = join("/", compact([local.bucket_arn, var.key_prefix, "*"]))
  guarded_objects_arn = local.creates_bucket ? "${local.bucket_arn}/*" : local.log_objects_arn

  # The folder of the account that asks: IAM fills in its id.
  own_objects_arn = join("/", compact([local.bucket_arn, var.key_prefix, "$${aws:PrincipalAccount}", "*"]))

  bucket_key_arn  = local.creates_bucket_key ? aws_kms_key.bucket[0].arn : var.bucket_key.kms_key_arn
  session_key_arn = { none = null, separate = one(aws_kms_key.session_data[*].arn), shared = local.bucket_key_arn }[var.session_key.mode]
}

# The policy of the key names the region of the bucket, and a bucket that is missing is found out before anything is made.
data "aws_s3_bucket" "existing" {
  count = local.creates_bucket ? 0 : 1

  bucket = var.existing_bucket_name

  lifecycle {
    postcondition {
      # Since version 6 of the provider, `region` is the provider's and `bucket_region` the bucket's.
      condition     = lookup(self, "bucket_region", self.region) == local.region
      error_message = "The bucket ${var.existing_bucket_name} is in ${lookup(self, "bucket_region", self.region)}, and its key must be there, too: use this module with a provider of that region."
    }
  }
}
