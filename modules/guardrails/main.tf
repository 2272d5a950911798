data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

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
  scp_length = length(data.aws_iam_policy_document.this.minified_json)

  # What to switch off when the SCP is too long: about as many characters as each switch adds.
  switch_lengths = {
    for switch, on in var.deny : switch => length(jsonencode(concat(
      try(local.named[switch].actions, []),
      try(local.named[switch].resources, []),
      try(local.account_wide[switch], []),
    ))) if on
  }

  longest_switches = slice(
    reverse(sort([for switch, length in local.switch_lengths : format("%05d %s", length, switch)])),
    0, min(3, length(local.switch_lengths))
  )

  advice = join(", ", [for entry in local.longest_switches : format("%s (%d)", split(" ", entry)[1], tonumber(split(" ", entry)[0]))])
}

resource "aws_organizations_policy" "this" {
  count = length(var.attach_to) > 0 ? 1 : 0

  name        = var.name
  description = "Session Manager: only exempt roles may change the preferences or bypass session logging."
  type        = "SERVICE_CONTROL_POLICY"
  content     = data.aws_iam_policy_document.this.minified_json

  tags = var.tags
}

resource "aws_organizations_policy_attachment" "this" {
  for_each = var.attach_to

  policy_id = aws_organizations_policy.this[0].id
  target_id = each.value
}

# Versions before made this setting here. It stays as it is: destroying it would allow public sharing again.
removed {
  from = aws_ssm_service_setting.public_sharing

  lifecycle {
    destroy = false
  }
}
