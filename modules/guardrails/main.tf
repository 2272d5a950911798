data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  exempt_role_arns = sort(var.exempt_role_arns)

  # The roles of what is deployed: the function has one in every region.
  deployed_role_arns = [
    "arn:${local.partition}:iam::*:role/${var.names.automation_document}",
    "arn:${local.partition}:iam::*:role/${var.names.function}-*",
  ]

  # Organizations counts every character.
  scp_length  = length(data.aws_iam_policy_document.this.minified_json)
  longest_scp = 5120
}

resource "aws_organizations_policy" "this" {
  count = length(var.attach_to) > 0 ? 1 : 0

  name        = var.name
  description = "Session Manager: nobody but the exempt roles changes its preferences or gets around its logs."
  type        = "SERVICE_CONTROL_POLICY"
  content     = data.aws_iam_policy_document.this.minified_json

  tags = var.tags
}

resource "aws_organizations_policy_attachment" "this" {
  for_each = var.attach_to

  policy_id = aws_organizations_policy.this[0].id
  target_id = each.value
}

# A setting of one account in one region. By its ARN, because older providers plan a change again and again without.
resource "aws_ssm_service_setting" "public_sharing" {
  count = var.block_public_sharing ? 1 : 0

  setting_id    = "arn:${local.partition}:ssm:${data.aws_region.current.name}:${local.account_id}:servicesetting/ssm/documents/console/public-sharing-permission"
  setting_value = "Disable"
}
