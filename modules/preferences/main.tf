data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # `name` is deprecated since version 6 of the provider, and version 5 has no `region`.
  region = lookup(data.aws_region.current, "region", lookup(data.aws_region.current, "name", null))

  creates_session_key = var.session_key.enabled && var.session_key.kms_key_arn == null
  manages_log_group   = var.cloudwatch.create_log_group || var.cloudwatch.adopt_log_group
  creates_logs_key    = local.manages_log_group && var.cloudwatch.encryption_enabled && var.cloudwatch.kms_key_arn == null

  session_key_arn = var.session_key.enabled ? try(aws_kms_key.session_data[0].arn, var.session_key.kms_key_arn) : null
  logs_key_arn    = var.cloudwatch.encryption_enabled ? try(aws_kms_key.logs[0].arn, var.cloudwatch.kms_key_arn) : null

  logs_to_cloudwatch = var.cloudwatch.log_group_name != ""

  # By the names of the document's inputs. Null is not managed: neutral, or kept with adopt = "merge".
  preferences = {
    s3BucketName                = var.s3.enabled ? var.s3.bucket_name : null
    s3KeyPrefix                 = var.s3.enabled ? join("/", compact([var.s3.key_prefix, local.account_id, local.region])) : null
    s3EncryptionEnabled         = var.s3.enabled ? var.s3.encryption_enabled : null
    cloudWatchLogGroupName      = local.logs_to_cloudwatch ? var.cloudwatch.log_group_name : null
    cloudWatchEncryptionEnabled = local.logs_to_cloudwatch ? var.cloudwatch.encryption_enabled : null
    cloudWatchStreamingEnabled  = local.logs_to_cloudwatch ? var.cloudwatch.streaming_enabled : null
    kmsKeyId                    = local.session_key_arn
    runAsEnabled                = var.run_as.enabled ? true : null
    runAsDefaultUser            = var.run_as.default_user != "" ? var.run_as.default_user : null
    idleSessionTimeout          = var.idle_session_timeout
    maxSessionDuration          = var.max_session_duration != 0 ? var.max_session_duration : null
    shellProfile = {
      linux   = var.shell_profile.linux != "" ? var.shell_profile.linux : null
      windows = var.shell_profile.windows != "" ? var.shell_profile.windows : null
    }
  }

  # What the function is asked to bring about.
  wanted = {
    document    = var.names.document
    preferences = local.preferences
    adopt       = var.adopt
    waive       = var.waive
  }
}

# The function stores the settings and writes the document: on creation, on every change of the input, and on destruction. A
# replacement of this resource would send a deletion in between, which takes the preferences away for a moment. Therefore: no
# triggers, no qualifier, no create_before_destroy, a fixed function name, and the digest of the code inside the input.
resource "aws_lambda_invocation" "this" {
  function_name   = aws_lambda_function.this.function_name
  lifecycle_scope = "CRUD"

  input = jsonencode(merge(local.wanted, {
    on_destroy      = var.on_destroy
    revision        = var.revision
    function_digest = local.package_digest
  }))

  # Named in the document: created before it is written, destroyed after it is restored.
  depends_on = [
    aws_cloudwatch_log_group.adopted,
    aws_cloudwatch_log_group.sessions,
    aws_iam_role_policy.function,
    aws_kms_alias.session_data,
    aws_ssm_parameter.session_key,
    var.after,
  ]
}

# create_before_destroy, here and on the keys: a new group is named in the document before the old one is destroyed.
resource "aws_cloudwatch_log_group" "sessions" {
  count = var.cloudwatch.create_log_group ? 1 : 0

  name              = var.cloudwatch.log_group_name
  retention_in_days = var.cloudwatch.retention_in_days
  kms_key_id        = local.logs_key_arn

  # Regions that have no other class refuse the name of the standard one.
  log_group_class = var.cloudwatch.log_group_class == "STANDARD" ? null : var.cloudwatch.log_group_class

  tags = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

# Imported: it is its owner's, whose tags stay, and which a destroy leaves there.
resource "aws_cloudwatch_log_group" "adopted" {
  for_each = var.cloudwatch.adopt_log_group ? toset([var.cloudwatch.log_group_name]) : toset([])

  name              = each.key
  retention_in_days = var.cloudwatch.retention_in_days
  kms_key_id        = var.cloudwatch.encryption_enabled ? local.logs_key_arn : var.cloudwatch.kms_key_arn
  skip_destroy      = true

  lifecycle {
    ignore_changes = [tags, tags_all]
  }
}

# By its ARN, because older providers plan a change again and again without.
resource "aws_ssm_service_setting" "public_sharing" {
  count = var.block_public_sharing ? 1 : 0

  setting_id    = "arn:${local.partition}:ssm:${local.region}:${local.account_id}:servicesetting/ssm/documents/console/public-sharing-permission"
  setting_value = "Disable"
}

# Asks the function for the differences, so that there is one definition of equal. Not a data source within the check: that is read
# again when a plan is applied, so no plan would ever be empty. After the invocation: pending changes are no drift.
data "aws_lambda_invocation" "differences" {
  count = var.check_in_plan ? 1 : 0

  function_name = aws_lambda_function.this.function_name
  input         = jsonencode(merge(local.wanted, { action = "diff" }))

  depends_on = [aws_lambda_invocation.this]
}

locals {
  differences = flatten([for found in data.aws_lambda_invocation.differences : jsondecode(found.result).changes[*].path])
}

check "document_matches" {
  assert {
    condition     = length(local.differences) == 0
    error_message = "The document ${var.names.document} differs from the configuration: ${join(", ", local.differences)}. Set revision to another value to write it again; the rollout plans one by itself."
  }
}
