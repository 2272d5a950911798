locals {
  role_arn = "arn:${local.partition}:iam::${local.account_id}:role"

  node_kinds = [
    for kind in ["instance_profiles", "default_host_management", "hybrid"] : kind if var.nodes[kind]
  ]

  reading_roles = [
    "iam:GetRole",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:SimulatePrincipalPolicy",
  ]
  reading_copies = var.nodes.inline_at_quota ? ["iam:GetRolePolicy"] : []

  # The service that owns a role of the first kind changes it, and Identity Center resets those of the second.
  excluded_paths = concat(["/aws-service-role/", "/aws-reserved/"], sort(var.excluded_role_paths))

  # In IAM the wildcards of a name match slashes, too, so that some roles under other paths are denied as well.
  excluded_role_arns = concat(
    [for path in local.excluded_paths : "${local.role_arn}${path}*"],
    flatten([for name in sort(var.excluded_role_names) : ["${local.role_arn}/${name}", "${local.role_arn}/*/${name}"]])
  )
}

resource "aws_ssm_document" "this" {
  name            = var.automation_document_name
  document_type   = "Automation"
  document_format = "JSON"

  content = jsonencode({
    schemaVersion = "0.3"
    description   = "Attaches the Session Manager policy to an IAM role that AWS Config found without it, and verifies that IAM lists it."
    assumeRole    = "{{ AutomationAssumeRole }}"
    outputs       = ["AttachPolicy.Outcome", "AttachPolicy.Nodes"]

    parameters = {
      AutomationAssumeRole = {
        type           = "String"
        description    = "(Required) ARN of the role that the automation assumes."
        allowedPattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\\w+=,.@/-]{1,576}$"
      }
      IAMResourceId = {
        type           = "String"
        description    = "(Required) Id of the role as AWS Config names it: AROA..."
        allowedPattern = "^AROA[A-Z0-9]{12,28}$"
      }
      PolicyArn = {
        type           = "String"
        description    = "(Required) ARN of the managed policy to attach."
        default        = var.policy_arn
        allowedPattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:policy/[\\w+=,.@/-]{1,640}$"
      }
    }

    mainSteps = [{
      name           = "AttachPolicy"
      action         = "aws:executeScript"
      description    = "Finds the role by its id, refuses roles that must not be touched, attaches the policy and verifies it."
      timeoutSeconds = 120
      onFailure      = "Abort"
      isEnd          = true

      inputs = {
        Runtime = "python3.11"
        Handler = "attach_policy"
        Script  = file("${path.module}/automation/attach_policy.py")
        # Not parameters: everyone who may start the document could set them.
        InputPayload = {
          ExcludedRoleNames = join(" ", sort(var.excluded_role_names))
          ExcludedRolePaths = join(" ", sort(var.excluded_role_paths))
          IAMResourceId     = "{{ IAMResourceId }}"
          InlineAtQuota     = tostring(var.nodes.inline_at_quota)
          NodeKinds         = join(" ", local.node_kinds)
          PolicyArn         = "{{ PolicyArn }}"
        }
      }

      outputs = [
        { Name = "RoleName", Selector = "$.Payload.RoleName", Type = "String" },
        { Name = "Outcome", Selector = "$.Payload.Outcome", Type = "String" },
        { Name = "Nodes", Selector = "$.Payload.Nodes", Type = "String" },
      ]
    }]
  })

  tags = var.tags
}

data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "AutomationsOfThisAccount"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ssm.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:ssm:${local.region}:${local.account_id}:automation-execution/*"]
    }
  }
}

data "aws_iam_policy_document" "permissions" {
  # Config's resource-level permissions do not cover this action.
  statement {
    sid       = "FindRole"
    actions   = ["config:GetResourceConfigHistory"]
    resources = ["*"]
  }

  statement {
    sid       = "ReadRoles"
    actions   = concat(local.reading_roles, local.reading_copies)
    resources = ["${local.role_arn}/*"]
  }

  # What the policy allows is simulated for the role, whose boundary or organization may deny it.
  statement {
    sid       = "ReadPolicy"
    actions   = ["iam:GetPolicy", "iam:GetPolicyVersion"]
    resources = [var.policy_arn]
  }

  # The nodes that a role serves; these actions know no resources.
  statement {
    sid       = "FindNodes"
    actions   = ["account:ListRegions", "ec2:DescribeInstances", "ssm:DescribeInstanceInformation"]
    resources = ["*"]
  }

  # IAM knows no condition for what an inline policy allows, so this needs a setting of its own.
  dynamic "statement" {
    for_each = var.nodes.inline_at_quota ? [true] : []

    content {
      sid       = "CopyPolicy"
      actions   = ["iam:PutRolePolicy"]
      resources = ["${local.role_arn}/*"]
    }
  }

  # Any role of the account can be one of nodes, but only this policy can be attached to it.
  statement {
    sid       = "AttachPolicy"
    actions   = ["iam:AttachRolePolicy"]
    resources = ["${local.role_arn}/*"]

    condition {
      test     = "ArnEquals"
      variable = "iam:PolicyARN"
      values   = [var.policy_arn]
    }
  }

  statement {
    sid       = "ExcludedRoles"
    effect    = "Deny"
    actions   = ["iam:AttachRolePolicy", "iam:PutRolePolicy"]
    resources = local.excluded_role_arns
  }
}

resource "aws_iam_role" "this" {
  name               = var.automation_document_name
  description        = "Assumed by Systems Manager Automation to attach the Session Manager policy."
  assume_role_policy = data.aws_iam_policy_document.trust.json

  tags = var.tags
}

resource "aws_iam_role_policy" "this" {
  name   = var.automation_document_name
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.permissions.json

  # The other statements need up to 2,900 characters, with the longest ARN of a policy twice.
  lifecycle {
    precondition {
      condition     = length(jsonencode(local.excluded_role_arns)) <= 7300
      error_message = "The policy of the Automation role would be too long for IAM, which accepts 10240 characters: exclude roles by fewer names and paths."
    }
  }
}
