locals {
  # Where data could be carried out of the organization: by an upload to a bucket of others, or encrypted with a key of others.
  # The other services have no cross-account resources, or have AWS-owned ones that the agent needs.
  services_with_own_resources_only = ["kms", "s3"]
}

data "aws_iam_policy_document" "this" {
  #checkov:skip=CKV_SMF_5:Buckets of AWS are read without signature, by callers that have no organization; no other bucket is open.
  for_each = toset(keys(local.created))

  statement {
    sid       = "OrganizationOnly"
    actions   = ["${each.key}:*"]
    resources = ["*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalOrgID"
      values   = [var.organization_id]
    }

    dynamic "condition" {
      for_each = contains(local.services_with_own_resources_only, each.key) ? [var.organization_id] : []

      content {
        test     = "StringEquals"
        variable = "aws:ResourceOrgID"
        values   = [condition.value]
      }
    }
  }

  # Updates of the agent, what AWS's documents run, and packages: read by any principal, often unsigned.
  dynamic "statement" {
    for_each = each.key == "s3" && length(local.aws_bucket_names) > 0 ? [true] : []

    content {
      sid       = "ReadBucketsOfAws"
      actions   = ["s3:GetObject"]
      resources = [for name in local.aws_bucket_names : "arn:${local.partition}:s3:::${name}/*"]

      principals {
        type        = "*"
        identifiers = ["*"]
      }
    }
  }
}
