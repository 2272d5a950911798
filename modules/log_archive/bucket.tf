resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144:A replica would be a second place to guard; versions and Object Lock protect against loss by people.
  #checkov:skip=CKV2_AWS_62:Nothing consumes events of session logs; add a notification where something does.
  count = local.creates_bucket ? 1 : 0

  bucket = local.bucket_name

  tags = var.tags

  # On destruction the bucket goes first: one that still holds logs stops it while its key is there.
  depends_on = [aws_kms_key.bucket]
}

resource "aws_s3_bucket_ownership_controls" "this" {
  count = local.creates_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id

  # Without ACLs; the agent's bucket-owner-full-control is still accepted.
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  count = local.creates_bucket ? 1 : 0

  bucket                  = aws_s3_bucket.this[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  count = local.creates_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  count = local.creates_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id

  # The agent sends back what it reads here: an id or an alias would be looked for in the account of the instance, so the key is
  # named by its full ARN. And it takes aws:kms:dsse for no encryption at all.
  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.bucket_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  count = local.creates_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id

  rule {
    id     = "session-logs"
    status = "Enabled"

    filter {}

    dynamic "transition" {
      for_each = var.retention.transitions

      content {
        days          = transition.value.days
        storage_class = transition.value.storage_class
      }
    }

    dynamic "expiration" {
      for_each = var.retention.days > 0 ? [var.retention.days] : []

      content {
        days = expiration.value
      }
    }

    dynamic "noncurrent_version_expiration" {
      for_each = var.retention.noncurrent_days > 0 ? [var.retention.noncurrent_days] : []

      content {
        noncurrent_days = noncurrent_version_expiration.value
      }
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # What remains of a log when all of its versions are gone.
  rule {
    id     = "delete-markers"
    status = "Enabled"

    filter {}

    expiration {
      expired_object_delete_marker = true
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_object_lock_configuration" "this" {
  count = local.creates_bucket && var.object_lock != null ? 1 : 0

  bucket = aws_s3_bucket.this[0].id

  rule {
    default_retention {
      mode = var.object_lock.mode
      days = var.object_lock.days
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_logging" "this" {
  count = local.creates_bucket && var.access_logging != null ? 1 : 0

  bucket        = aws_s3_bucket.this[0].id
  target_bucket = var.access_logging.bucket_name
  target_prefix = var.access_logging.key_prefix
}

resource "aws_s3_bucket_policy" "this" {
  count = local.creates_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id
  policy = data.aws_iam_policy_document.bucket.json

  depends_on = [aws_s3_bucket_public_access_block.this]
}
