locals {
  # As KMS sees S3, and what S3 names: the bucket when it uses S3 Bucket Keys, the object otherwise.
  s3_of_this_region = "s3.${local.region}.${data.aws_partition.current.dns_suffix}"

  # In the account of a key, IAM decides: these statements are for the other accounts, or they would allow what IAM does not.
  bucket_key_account_id  = try(split(":", var.bucket_key.kms_key_arn)[4], local.account_id)
  session_key_account_id = var.session_key.mode == "shared" ? local.bucket_key_account_id : local.account_id
}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109,CKV_AWS_111:The resource of a key policy is the key itself; its account administers it with IAM.
  #checkov:skip=CKV_AWS_356:The resource of a key policy is the key itself, which has no other name in it than a star.
  statement {
    sid       = "IamOfThisAccount"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account_id}:root"]
    }
  }
}

data "aws_iam_policy_document" "uploads" {
  statement {
    sid       = "UploadsOfTheOrganization"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

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
      test     = "StringNotEquals"
      variable = "aws:PrincipalAccount"
      values   = [local.bucket_key_account_id]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.s3_of_this_region]
    }

    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:aws:s3:arn"
      values   = [local.bucket_arn, local.own_objects_arn]
    }
  }

  dynamic "statement" {
    for_each = length(var.reader_role_arns) > 0 ? [true] : []

    content {
      sid       = "ReadersOfTheLogs"
      actions   = ["kms:Decrypt"]
      resources = ["*"]

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

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = [local.s3_of_this_region]
      }

      condition {
        test     = "StringLike"
        variable = "kms:EncryptionContext:aws:s3:arn"
        values   = [local.bucket_arn, local.log_objects_arn]
      }
    }
  }
}

# The client (GenerateDataKey) and the agent (Decrypt) name the target of the session, so that the key encrypts session data and
# nothing else.
data "aws_iam_policy_document" "sessions" {
  statement {
    sid       = "SessionsOfTheOrganization"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

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
      test     = "StringNotEquals"
      variable = "aws:PrincipalAccount"
      values   = [local.session_key_account_id]
    }

    condition {
      test     = "Null"
      variable = "kms:EncryptionContext:aws:ssm:TargetId"
      values   = ["false"]
    }
  }

  # The function of every account looks whether the key exists and is enabled before it names it in the preferences. This call
  # has no encryption context.
  statement {
    sid       = "LookAtTheSessionKey"
    actions   = ["kms:DescribeKey"]
    resources = ["*"]

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
      test     = "StringNotEquals"
      variable = "aws:PrincipalAccount"
      values   = [local.session_key_account_id]
    }
  }
}

# What others need on the key of the bucket, without the administration of the key.
data "aws_iam_policy_document" "bucket_key_use" {
  source_policy_documents = concat(
    [data.aws_iam_policy_document.uploads.json],
    var.session_key.mode == "shared" ? [data.aws_iam_policy_document.sessions.json] : [],
  )
}

data "aws_iam_policy_document" "bucket_key" {
  source_policy_documents = [data.aws_iam_policy_document.key.json, data.aws_iam_policy_document.bucket_key_use.json]
}

data "aws_iam_policy_document" "session_key" {
  source_policy_documents = [data.aws_iam_policy_document.key.json, data.aws_iam_policy_document.sessions.json]
}

resource "aws_kms_key" "bucket" {
  count = local.creates_bucket_key ? 1 : 0

  description             = "Session Manager: session logs of the organization in ${local.bucket_name}."
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.bucket_key.json

  tags = var.tags
}

resource "aws_kms_alias" "bucket" {
  count = local.creates_bucket_key ? 1 : 0

  name          = var.bucket_key.alias
  target_key_id = aws_kms_key.bucket[0].key_id
}

resource "aws_kms_key" "session_data" {
  count = local.creates_session_key ? 1 : 0

  description             = "Session Manager: session data of the organization."
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.session_key.json

  tags = var.tags
}

resource "aws_kms_alias" "session_data" {
  count = local.creates_session_key ? 1 : 0

  name          = var.session_key.alias
  target_key_id = aws_kms_key.session_data[0].key_id
}
