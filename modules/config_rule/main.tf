data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name
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
      policy_text    = templatefile("${path.module}/guard/session_manager_policy_attached.guard", { policy_arn = var.policy_arn })
    }
  }

  tags = var.tags

  lifecycle {
    precondition {
      condition     = local.region == var.home_region
      error_message = "AWS Config records IAM roles in the home region ${var.home_region} only, so a rule in ${local.region} cannot work: create this module with a provider of the home region."
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
