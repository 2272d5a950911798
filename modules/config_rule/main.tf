data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # `name` is deprecated since version 6 of the provider, and version 5 has no `region`.
  region = lookup(data.aws_region.current, "region", lookup(data.aws_region.current, "name", null))

  # What matches the ARN of an excluded role: its path after ":role", or its name at the end. The roles of AWS are in the rule.
  # Guard's parser ends a regular expression at a slash, so slashes are written as \x2F.
  excluded_path_expressions = [
    for path in sort(var.excluded_role_paths) : ":role${replace(replace(path, "/[.+]/", "\\$0"), "/", "\\x2F")}"
  ]
  excluded_name_expressions = [
    for name in sort(var.excluded_role_names) :
    "\\x2F${replace(replace(replace(name, "/[.+]/", "\\$0"), "*", "[^\\x2F]*"), "?", "[^\\x2F]")}$"
  ]

  # The file holds a whole rule, for an example: these literals in it make way for those of this account. Comments count as
  # characters of the rule, so they stay in the file.
  example_policy_arn     = "arn:aws:iam::111122223333:policy/SessionManagerLogPolicy"
  example_excluded_roles = ",\n  /:role\\x2Fplatform\\x2F/,\n  /\\x2Flegacy-[^\\x2F]*$/"

  # The blocks of what is not judged go first, by the comments around them.
  left_out = join("|", [for kind, judged in var.nodes : kind if !judged])
  judged = replace(
    file("${path.module}/guard/session_manager_policy_attached.guard"), "/(?s) *# BEGIN (${local.left_out})\n.*?# END [a-z_]+\n/", ""
  )

  rule = replace(
    replace(local.judged, "/(?m)^ *#.*\n/", ""),
    local.example_excluded_roles,
    join("", [for expression in concat(local.excluded_path_expressions, local.excluded_name_expressions) : ",\n  /${expression}/"])
  )

  # Config accepts 10,000 characters, the ARN of the policy among them. The ARN may be known after the plan only.
  longest_policy_arn = 700
  rule_size          = length(replace(local.rule, local.example_policy_arn, ""))
}

resource "aws_config_config_rule" "this" {
  name        = var.name
  description = "Roles that EC2 instances use must have the Session Manager policy attached."

  scope {
    compliance_resource_types = ["AWS::IAM::Role"]
  }

  source {
    owner = "CUSTOM_POLICY"

    source_detail {
      event_source = "aws.config"
      message_type = "ConfigurationItemChangeNotification"
    }

    # Roles with long inline policies arrive as oversized items.
    source_detail {
      event_source = "aws.config"
      message_type = "OversizedConfigurationItemChangeNotification"
    }

    custom_policy_details {
      policy_runtime = "guard-2.x.x"
      policy_text = replace(
        replace(local.rule, local.example_policy_arn, var.policy_arn),
        "\"SessionManagerLogPolicy\"", jsonencode(reverse(split("/", var.policy_arn))[0])
      )
    }
  }

  tags = var.tags

  # A document of the same name, made elsewhere, stops the creation; a rule of the same name would be overwritten.
  depends_on = [aws_ssm_document.this]

  lifecycle {
    precondition {
      condition     = local.region == var.home_region
      error_message = "AWS Config records IAM roles in the home region ${var.home_region} only, so a rule in ${local.region} cannot work: create this module with a provider of the home region."
    }

    precondition {
      condition     = startswith(var.policy_arn, "arn:${local.partition}:iam::${local.account_id}:policy/")
      error_message = "The policy_arn must be the ARN of a policy in account ${local.account_id} of partition ${local.partition}: IAM attaches no other to the roles of this account."
    }

    precondition {
      condition     = local.rule_size <= 10000 - local.longest_policy_arn
      error_message = "The Guard rule would be too long for AWS Config, which accepts 10000 characters: exclude roles by fewer or shorter patterns."
    }
  }
}

resource "aws_config_remediation_configuration" "this" {
  config_rule_name           = aws_config_config_rule.this.name
  resource_type              = "AWS::IAM::Role"
  target_type                = "SSM_DOCUMENT"
  target_id                  = aws_ssm_document.this.name
  automatic                  = var.auto_remediation
  maximum_automatic_attempts = var.maximum_automatic_attempts
  retry_attempt_seconds      = var.retry_attempt_seconds

  parameter {
    name         = "AutomationAssumeRole"
    static_value = aws_iam_role.this.arn
  }

  parameter {
    name           = "IAMResourceId"
    resource_value = "RESOURCE_ID"
  }

  parameter {
    name         = "PolicyArn"
    static_value = var.policy_arn
  }

  execution_controls {
    ssm_controls {
      concurrent_execution_rate_percentage = var.concurrent_execution_rate_percentage
      error_percentage                     = var.error_percentage
    }
  }

  # An automatic remediation may start at once, and fails without the role's permissions.
  depends_on = [aws_iam_role_policy.this]
}
