from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.sandbox import Sandbox

ACCOUNT = "614208975316"


ROOT = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
  backend "s3" {}
}

variable "revision" { default = "1" }

provider "aws" {
  region                  = "eu-west-1"
  allowed_account_ids     = ["614208975316"]
  skip_metadata_api_check = true
  assume_role { role_arn = "arn:aws:iam::614208975316:role/AWSControlTowerExecution" }
  default_tags { tags = { team = "security" } }
}

resource "aws_config_config_rule" "this" {
  name  = "terraform-rule"
  scope { compliance_resource_types = ["AWS::IAM::Role"] }
  source {
    owner = "CUSTOM_POLICY"
    source_detail { message_type = "ConfigurationItemChangeNotification" }
    source_detail { message_type = "OversizedConfigurationItemChangeNotification" }
    custom_policy_details {
      policy_runtime = "guard-2.x.x"
      policy_text    = "rule named { resourceName exists }"
    }
  }
}

resource "aws_config_remediation_configuration" "this" {
  config_rule_name           = aws_config_config_rule.this.name
  resource_type              = "AWS::IAM::Role"
  target_type                = "SSM_DOCUMENT"
  target_id                  = "Name-roles"
  automatic                  = true
  maximum_automatic_attempts = 5
  retry_attempt_seconds      = 60
  parameter {
    name         = "AutomationAssumeRole"
    static_value = aws_iam_role.this.arn
  }
  parameter {
    name           = "IAMResourceId"
    resource_value = "RESOURCE_ID"
  }
  execution_controls {
    ssm_controls {
      concurrent_execution_rate_percentage = 10
      error_percentage                     = 10
    }
  }
}

resource "aws_iam_role" "this" {
  name = "terraform-function"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = "614208975316" } }
    }]
  })
}

resource "aws_cloudwatch_log_group" "this" {
  name = "/aws/lambda/terraform-function"
}

resource "aws_lambda_function" "this" {
  function_name    = "terraform-function"
  role             = aws_iam_role.this.arn
  filename         = "function.zip"
  source_code_hash = filebase64sha256("function.zip")
  handler          = "app.handle"
  runtime          = "python3.13"
  tracing_config { mode = "Active" }
  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }
}

resource "aws_lambda_invocation" "this" {
  function_name   = aws_lambda_function.this.function_name
  lifecycle_scope = "CRUD"
  input           = jsonencode({ revision = var.revision })
}

output "result" { value = jsondecode(aws_lambda_invocation.this.result) }
"""

HANDLER = """
import boto3

def handle(event, context):
    action = event["tf"]["action"]
    if event["revision"] == "bad":
        raise ValueError("a bad revision")
    boto3.client("ssm").put_parameter(Name="/terraform/last", Value=action, Type="String", Overwrite=True)
    return {"action": action, "caller": boto3.client("sts").get_caller_identity()["Arn"]}
"""


def succeeded(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@dataclass(frozen=True)
class Terraform:
    """Terraform in a folder, as the administrator of the management account."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, workspace: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env={**self.environment, "TF_WORKSPACE": workspace},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def terraform(sandbox: Sandbox, tmp_path: Path) -> Terraform:
    if shutil.which("terraform") is None:
        pytest.fail("These tests run the real terraform: install Terraform 1.11 or later and put it on PATH.")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        **sandbox.environment(),
    }
    mirror = os.environ.get("TF_PLUGIN_MIRROR")
    if mirror:
        ours = json.dumps("registry.terraform.io/hashicorp/*")
        configuration = tmp_path / "cli.tfrc"
        configuration.write_text(
            "provider_installation {\n"
            f"  filesystem_mirror {{\n    path = {json.dumps(mirror)}\n    include = [{ours}]\n  }}\n"
            f"  direct {{\n    exclude = [{ours}]\n  }}\n"
            "}\n"
        )
        environment["TF_CLI_CONFIG_FILE"] = str(configuration)
    folder = tmp_path / "root"
    folder.mkdir()
    return Terraform(folder, environment)


@pytest.fixture
def initialized(sandbox: Sandbox, terraform: Terraform) -> Terraform:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", HANDLER)
    (terraform.folder / "function.zip").write_bytes(content.getvalue())
    (terraform.folder / "main.tf").write_text(ROOT)
    backend = {
        "bucket": sandbox.state_bucket,
        "key": "test.tfstate",
        "region": "eu-west-1",
        "workspace_key_prefix": "eu-west-1",
        "use_lockfile": "true",
    }
    run = terraform("init", "-no-color", *[f"-backend-config={key}={value}" for key, value in backend.items()])
    if run.returncode:
        pytest.fail(
            "terraform init failed; without access to the registry set TF_PLUGIN_MIRROR to a folder in the registry's "
            f"layout with hashicorp/aws:\n{run.stderr}"
        )
    return terraform


@pytest.mark.terraform
def test_rule_remediation_function_and_state(sandbox: Sandbox, initialized: Terraform) -> None:
    terraform = initialized
    state = sandbox.session("380917246553", "eu-west-1").client("s3")
    account = sandbox.session(ACCOUNT, "eu-west-1")

    def apply(*more: str) -> subprocess.CompletedProcess[str]:
        return terraform("apply", "-no-color", "-auto-approve", "-input=false", *more, workspace=ACCOUNT)

    succeeded(apply())
    outputs = json.loads(succeeded(terraform("output", "-json", workspace=ACCOUNT)))
    assert outputs["result"]["value"] == {
        "action": "create",
        "caller": f"arn:aws:sts::{ACCOUNT}:assumed-role/terraform-function/terraform-function",
    }
    assert account.client("config").get_custom_rule_policy(ConfigRuleName="terraform-rule")["PolicyText"] == (
        "rule named { resourceName exists }"
    )

    plan = terraform("plan", "-no-color", "-detailed-exitcode", "-input=false", workspace=ACCOUNT)
    assert plan.returncode == 0, plan.stdout

    failed = apply("-var=revision=bad")
    assert failed.returncode == 1
    assert "a bad revision" in failed.stderr
    succeeded(apply("-var=revision=2"))
    assert account.client("ssm").get_parameter(Name="/terraform/last")["Parameter"]["Value"] == "update"

    # The lock of somebody else stops a run; the lock file is gone after every run of our own.
    key = f"eu-west-1/{ACCOUNT}/test.tfstate"
    keys = [found["Key"] for found in state.list_objects_v2(Bucket=sandbox.state_bucket)["Contents"]]
    assert keys == [key]
    lock = {"ID": "5f0e2c0b", "Operation": "OperationTypeApply", "Who": "somebody@elsewhere"}
    state.put_object(Bucket=sandbox.state_bucket, Key=f"{key}.tflock", Body=json.dumps(lock).encode())
    locked = terraform("plan", "-no-color", "-input=false", workspace=ACCOUNT)
    assert locked.returncode == 1
    assert "somebody@elsewhere" in locked.stderr
    state.delete_object(Bucket=sandbox.state_bucket, Key=f"{key}.tflock")

    succeeded(terraform("destroy", "-no-color", "-auto-approve", "-input=false", "-var=revision=2", workspace=ACCOUNT))
    assert account.client("ssm").get_parameter(Name="/terraform/last")["Parameter"]["Value"] == "delete"
    account.client("ssm").delete_parameter(Name="/terraform/last")
    assert account.client("config").describe_config_rules()["ConfigRules"] == []
    state.delete_object(Bucket=sandbox.state_bucket, Key=key)
