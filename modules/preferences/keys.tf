locals {
  log_group_arns = [
    for name in [var.cloudwatch.log_group_name, local.function_log_group_name] :
    "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${name}"
  ]
}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:The resource of a key policy is the key itself; its account administers it with IAM.
  #checkov:skip=CKV_AWS_111:The resource of a key policy is the key itself; its account administers it with IAM.
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

data "aws_iam_policy_document" "session_data_key" {
  source_policy_documents = [data.aws_iam_policy_document.key.json]

  # For people who open sessions from other accounts; in the key's own account IAM decides. Client (GenerateDataKey) and agent
  # (Decrypt) name the target of the session in the encryption context, so that the key encrypts session data only.
  dynamic "statement" {
    for_each = var.session_key.organization_id[*]

    content {
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
        values   = [statement.value]
      }

      condition {
        test     = "StringNotEquals"
        variable = "aws:PrincipalAccount"
        values   = [local.account_id]
      }

      condition {
        test     = "Null"
        variable = "kms:EncryptionContext:aws:ssm:TargetId"
        values   = ["false"]
      }
    }
  }

  # The function of a member account checks the key's state before a document names it.
  dynamic "statement" {
    for_each = var.session_key.organization_id[*]

    content {
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
        values   = [statement.value]
      }

      condition {
        test     = "StringNotEquals"
        variable = "aws:PrincipalAccount"
        values   = [local.account_id]
      }
    }
  }
}

data "aws_iam_policy_document" "logs_key" {
  source_policy_documents = [data.aws_iam_policy_document.key.json]

  statement {
    sid       = "CloudWatchLogs"
    actions   = ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.${data.aws_partition.current.dns_suffix}"]
    }

    condition {
      test     = "ArnEquals"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = local.log_group_arns
    }
  }
}

resource "aws_kms_key" "session_data" {
  count = local.creates_session_key ? 1 : 0

  description             = "Session Manager: session data."
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.session_data_key.json

  tags = var.tags

  # A document that names a deleted key locks everybody out.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_kms_alias" "session_data" {
  count = local.creates_session_key ? 1 : 0

  name          = var.names.data_key_alias
  target_key_id = aws_kms_key.session_data[0].key_id

  lifecycle {
    create_before_destroy = true
  }
}

# For other stacks, which must allow the use of the key.
resource "aws_ssm_parameter" "session_key" {
  #checkov:skip=CKV2_AWS_34:The id of a key is no secret, and readers of a SecureString would need another key.
  count = local.creates_session_key ? 1 : 0

  name        = var.names.data_key_parameter
  description = "Id of the KMS key that encrypts the data of Session Manager's sessions."
  type        = "String"
  value       = aws_kms_key.session_data[0].key_id

  tags = var.tags
}

resource "aws_kms_key" "logs" {
  count = local.creates_logs_key ? 1 : 0

  description             = "Session Manager: session logs in CloudWatch Logs."
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.logs_key.json

  tags = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_kms_alias" "logs" {
  count = local.creates_logs_key ? 1 : 0

  name          = var.names.logs_key_alias
  target_key_id = aws_kms_key.logs[0].key_id

  lifecycle {
    create_before_destroy = true
  }
}
