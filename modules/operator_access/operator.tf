# For people who open sessions.

locals {
  document_arns = [for region in var.regions : "arn:${local.partition}:ssm:${region}:${local.account_id}:document/${var.names.document}"]

  # AWS's documents belong to no customer account, and only AWS may use names that begin with AWS-.
  port_forwarding_documents = compact([
    var.operator.port_forwarding.to_instance ? "AWS-StartPortForwardingSession" : "",
    var.operator.port_forwarding.to_remote_host ? "AWS-StartPortForwardingSessionToRemoteHost" : "",
  ])
  port_forwarding_document_arns = flatten([
    for region in var.regions : [for name in local.port_forwarding_documents : "arn:${local.partition}:ssm:${region}:*:document/${name}"]
  ])

  # Session Manager tags every session with the id of its caller: a user's id, or a role's id with the name of the
  # role session.
  session_owner_tag = "ssm:resourceTag/aws:ssmmessages:session-id"
  session_arn       = "arn:${local.partition}:ssm:*:${local.account_id}:session"
}

# StartSession is decided on the instance and, apart from it, on the document: both must be allowed.
data "aws_iam_policy_document" "operator" {
  statement {
    sid       = "StartSessionOnTaggedInstances"
    actions   = ["ssm:StartSession"]
    resources = local.instance_arns

    dynamic "condition" {
      for_each = var.operator.instance_tags

      content {
        test     = "StringEquals"
        variable = "ssm:resourceTag/${condition.key}"
        values   = condition.value
      }
    }

    # Without the check a call that names no document would not be asked for one. IfExists, because the key is absent where
    # there is no document to check.
    condition {
      test     = "BoolIfExists"
      variable = "ssm:SessionDocumentAccessCheck"
      values   = ["true"]
    }
  }

  statement {
    sid       = "StartSessionWithDocument"
    actions   = ["ssm:StartSession"]
    resources = local.document_arns

    condition {
      test     = "BoolIfExists"
      variable = "ssm:SessionDocumentAccessCheck"
      values   = ["true"]
    }
  }

  # Nothing that goes through a forwarded port is logged.
  dynamic "statement" {
    for_each = length(local.port_forwarding_document_arns) > 0 ? [true] : []

    content {
      sid       = "ForwardPorts"
      actions   = ["ssm:StartSession"]
      resources = local.port_forwarding_document_arns

      condition {
        test     = "BoolIfExists"
        variable = "ssm:SessionDocumentAccessCheck"
        values   = ["true"]
      }
    }
  }

  # By the tag, and not by the beginning of the session's id: that is the name of a user or of a role session, and the session
  # of maria-lopez begins like one of maria.
  statement {
    sid       = "OwnSessions"
    actions   = ["ssm:ResumeSession", "ssm:TerminateSession"]
    resources = ["${local.session_arn}/*"]

    condition {
      test     = "StringEquals"
      variable = local.session_owner_tag
      values   = ["$${aws:userid}"]
    }
  }

  # By the id where there is no tag: Session Manager sets none for names with a character that tags do not take, such as a comma,
  # and the data channel has none. The channel asks for the token of the session besides, which only StartSession and
  # ResumeSession give.
  statement {
    sid       = "OwnSessionsById"
    actions   = ["ssm:ResumeSession", "ssm:TerminateSession", "ssmmessages:OpenDataChannel"]
    resources = ["${local.session_arn}/$${aws:userid}-*", "${local.session_arn}/$${aws:username}-*"]

    condition {
      test     = "StringEqualsIfExists"
      variable = local.session_owner_tag
      values   = ["$${aws:userid}"]
    }
  }

  # The person's client makes the data key; the agent decrypts it.
  dynamic "statement" {
    for_each = var.names.data_key_alias[*]

    content {
      sid       = "EncryptSessionDataByAlias"
      actions   = ["kms:GenerateDataKey"]
      resources = [for region in var.regions : "arn:${local.partition}:kms:${region}:${local.account_id}:key/*"]

      # ForAnyValue, because ForAllValues denies a key that carries a second alias.
      condition {
        test     = "ForAnyValue:StringEquals"
        variable = "kms:ResourceAliases"
        values   = [statement.value]
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.session_key_arns) > 0 ? [true] : []

    content {
      sid       = "EncryptSessionData"
      actions   = ["kms:GenerateDataKey"]
      resources = sort(var.session_key_arns)
    }
  }

  # What the consoles list before an instance can be chosen. These list calls have no resource-level permissions.
  statement {
    sid = "FindInstances"

    actions = [
      "ec2:DescribeInstances",
      "ssm:DescribeInstanceInformation",
      "ssm:DescribeInstanceProperties",
      "ssm:DescribeSessions",
    ]

    resources = ["*"]
  }

  statement {
    sid       = "ReadConnectionStatus"
    actions   = ["ssm:GetConnectionStatus"]
    resources = local.instance_arns
  }
}

resource "aws_iam_policy" "operator" {
  count = var.operator.enabled ? 1 : 0

  name        = var.operator.policy_name
  path        = var.path
  description = "Session Manager: open sessions on tagged instances, and end one's own."
  policy      = data.aws_iam_policy_document.operator.json

  tags = var.tags

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.operator.minified_json) <= local.longest_policy
      error_message = "The policy ${var.operator.policy_name} would have ${length(data.aws_iam_policy_document.operator.minified_json)} characters and IAM takes ${local.longest_policy}: name fewer regions, session_key_arns or operator.instance_tags."
    }
  }
}

resource "aws_iam_role_policy_attachment" "operator" {
  for_each = var.operator.enabled ? var.operator.attach_to_roles : []

  role       = each.value
  policy_arn = aws_iam_policy.operator[0].arn
}
