locals {
  # The statements are data, because `rollout.py verify` reads the same file: each with the reason (Why) and the
  # settings that it depends on (When).
  bucket_policy = jsondecode(templatefile("${path.module}/bucket_policy.json.tftpl", {
    bucket          = local.bucket_arn
    guarded_objects = local.guarded_objects_arn
    key             = local.bucket_key_arn
    key_prefix      = var.key_prefix
    log_objects     = local.log_objects_arn
    organization_id = var.organization_id
    own_objects     = local.own_objects_arn
    readers         = jsonencode(var.reader_role_arns)
  }))

  bucket_policy_applies = [
    local.creates_bucket ? "new bucket" : "existing bucket",
    length(var.reader_role_arns) > 0 ? "readers" : "no readers",
    var.key_prefix != "" ? "key prefix" : "no key prefix",
  ]
}

data "aws_iam_policy_document" "bucket" {
  source_policy_documents = [jsonencode({
    Version = local.bucket_policy.Version
    Statement = [
      for statement in local.bucket_policy.Statement :
      { for name, value in statement : name => value if !contains(["When", "Why"], name) }
      if alltrue([for setting in try(statement.When, []) : contains(local.bucket_policy_applies, setting)])
    ]
  })]
}
