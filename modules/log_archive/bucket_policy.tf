data "aws_iam_policy_document" "bucket" {
  # Asked before a session that requires an encrypted bucket, and before every upload.
  statement {
    sid       = "ReadEncryption"
    actions   = ["s3:GetEncryptionConfiguration"]
    resources = [local.bucket_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalOrgID"
      values   = [var.organization_id]
    }
  }

  statement {
    sid       = "WriteOwnFolder"
    actions   = ["s3:PutObject", "s3:PutObjectAcl"]
    resources = [local.own_objects_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalOrgID"
      values   = [var.organization_id]
    }
  }

  # By condition and not as principals: S3 refuses a policy that names a role which does not exist yet.
  dynamic "statement" {
    for_each = length(var.reader_role_arns) > 0 ? [true] : []

    content {
      sid       = "ReadLogs"
      actions   = ["s3:GetObject", "s3:GetObjectVersion"]
      resources = [local.log_objects_arn]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:PrincipalOrgID"
        values   = [var.organization_id]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:PrincipalArn"
        values   = var.reader_role_arns
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.reader_role_arns) > 0 ? [true] : []

    content {
      sid       = "ListLogs"
      actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
      resources = [local.bucket_arn]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:PrincipalOrgID"
        values   = [var.organization_id]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:PrincipalArn"
        values   = var.reader_role_arns
      }

      dynamic "condition" {
        for_each = var.key_prefix != "" ? [var.key_prefix] : []

        content {
          test     = "StringLike"
          variable = "s3:prefix"
          values   = [condition.value, "${condition.value}/*"]
        }
      }
    }
  }

  statement {
    sid       = "EncryptedTransportOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = local.creates_bucket ? [local.bucket_arn, local.guarded_objects_arn] : [local.guarded_objects_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # Objects only: with a wrong id nobody could mend the policy of the bucket any more.
  statement {
    sid       = "OrganizationOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.guarded_objects_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "aws:PrincipalOrgID"
      values   = [var.organization_id]
    }

    condition {
      test     = "BoolIfExists"
      variable = "aws:PrincipalIsAWSService"
      values   = ["false"]
    }
  }

  # Also for principals of this account, whose own policies could allow more.
  dynamic "statement" {
    for_each = local.creates_bucket ? [true] : []

    content {
      sid           = "OwnFolderOnly"
      effect        = "Deny"
      actions       = ["s3:PutObject", "s3:PutObjectAcl"]
      not_resources = [local.own_objects_arn]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }
    }
  }

  statement {
    sid       = "NamedReadersOnly"
    effect    = "Deny"
    actions   = ["s3:GetObject*"]
    resources = [local.guarded_objects_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    dynamic "condition" {
      for_each = length(var.reader_role_arns) > 0 ? [var.reader_role_arns] : []

      content {
        test     = "ArnNotEquals"
        variable = "aws:PrincipalArn"
        values   = condition.value
      }
    }
  }

  # Logs end by the lifecycle rules, which no policy stops.
  statement {
    sid       = "NoDeletion"
    effect    = "Deny"
    actions   = ["s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion"]
    resources = [local.guarded_objects_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
  }

  # Uploads that say nothing get the encryption of the bucket; those that say something must say the same, by the full ARN.
  statement {
    sid       = "NoOtherKey"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = [local.guarded_objects_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "s3:x-amz-server-side-encryption-aws-kms-key-id"
      values   = ["false"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "s3:x-amz-server-side-encryption-aws-kms-key-id"
      values   = [local.bucket_key_arn]
    }
  }

  # S3 would take the key aws/s3 of the account that uploads.
  statement {
    sid       = "NoUnnamedKey"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = [local.guarded_objects_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "s3:x-amz-server-side-encryption"
      values   = ["aws:kms"]
    }

    condition {
      test     = "Null"
      variable = "s3:x-amz-server-side-encryption-aws-kms-key-id"
      values   = ["true"]
    }
  }

  statement {
    sid       = "NoOtherEncryption"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = [local.guarded_objects_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "s3:x-amz-server-side-encryption"
      values   = ["false"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "s3:x-amz-server-side-encryption"
      values   = ["aws:kms"]
    }
  }

  # Only the one who uploads could read what is encrypted with a key of their own.
  statement {
    sid       = "NoCustomerProvidedKey"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = [local.guarded_objects_arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "s3:x-amz-server-side-encryption-customer-algorithm"
      values   = ["false"]
    }
  }
}
