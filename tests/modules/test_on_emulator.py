"""Terraform in emulated accounts: each scenario in a root of its own, all at once, because most of it is waiting."""

import io
import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox, default_organization
from session_manager_fleet.run.executors.capacity import COLLECT_LATE
from session_manager_fleet.terraform.installation import child_environment, find_terraform
from tests.modules.attached import attachment

Terraform = Callable[..., subprocess.CompletedProcess[str]]
TerraformIn = Callable[..., Terraform]

pytestmark = pytest.mark.terraform

MODULES = Path(__file__).parents[2] / "modules"
ACCOUNT = "614208975316"
APPLY = ("apply", "-auto-approve", "-input=false")
DESTROY = ("destroy", "-auto-approve", "-input=false")
# A plan that fails unless there is nothing to do.
UNCHANGED = ("plan", "-detailed-exitcode", "-input=false")

SETUP = """
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
"""

ROOT = """
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

# What repairs a document by itself: a rule and a schedule, a function, a queue for what fails, an alarm.
REPAIR = """
data "aws_iam_policy_document" "key" {
  statement {
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::614208975316:root"]
    }
  }
}

resource "aws_kms_key" "this" {
  enable_key_rotation = true
  policy              = data.aws_iam_policy_document.key.json
}

resource "aws_sqs_queue" "failures" {
  name                      = "repair-failures"
  kms_master_key_id         = aws_kms_key.this.arn
  message_retention_seconds = 1209600
}

# With its policy inside: the provider waits 25 s after it has made a queue, and as long for a policy of its own.
resource "aws_sqs_queue" "dead_letters" {
  name                    = "repair-dead-letters"
  sqs_managed_sse_enabled = true
  policy                  = data.aws_iam_policy_document.queue.json
}

data "aws_iam_policy_document" "queue" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = ["arn:aws:sqs:eu-west-1:614208975316:repair-dead-letters"]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.change.arn]
    }
  }
}

resource "aws_sns_topic" "this" {
  name              = "repairs"
  kms_master_key_id = "alias/aws/sns"
}

resource "aws_cloudwatch_metric_alarm" "this" {
  alarm_name          = "repair-failures"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.failures.name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
}

resource "aws_iam_role" "this" {
  name = "terraform-repair"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_lambda_function" "this" {
  function_name    = "terraform-repair"
  role             = aws_iam_role.this.arn
  filename         = "function.zip"
  source_code_hash = filebase64sha256("function.zip")
  handler          = "app.handle"
  runtime          = "python3.13"
  dead_letter_config { target_arn = aws_sqs_queue.dead_letters.arn }
}

resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = var.revision
  maximum_event_age_in_seconds = 3600
  destination_config {
    on_failure { destination = aws_sqs_queue.failures.arn }
  }
}

resource "aws_cloudwatch_event_rule" "change" {
  name = "repair-change"
  event_pattern = jsonencode({
    source        = ["aws.ssm"]
    "detail-type" = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource       = ["ssm.amazonaws.com"]
      eventName         = ["CreateDocument", "UpdateDocument"]
      requestParameters = { name = ["Repaired"] }
      userIdentity = { sessionContext = { sessionIssuer = { arn = [{ anything-but = [aws_iam_role.this.arn] }] } } }
    }
  })
}

resource "aws_cloudwatch_event_rule" "schedule" {
  name                = "repair-schedule"
  schedule_expression = "rate(1 day)"
}

resource "aws_cloudwatch_event_target" "change" {
  rule = aws_cloudwatch_event_rule.change.name
  arn  = aws_lambda_function.this.arn
  input_transformer {
    input_paths    = { by = "$.detail.userIdentity.arn" }
    input_template = "{\\"revision\\": \\"1\\", \\"tf\\": {\\"action\\": <by>}}"
  }
  dead_letter_config { arn = aws_sqs_queue.dead_letters.arn }
}

resource "aws_cloudwatch_event_target" "schedule" {
  rule  = aws_cloudwatch_event_rule.schedule.name
  arn   = aws_lambda_function.this.arn
  input = jsonencode({ revision = "bad", tf = { action = "schedule" } })
}

resource "aws_lambda_permission" "this" {
  for_each      = { change = aws_cloudwatch_event_rule.change.arn, schedule = aws_cloudwatch_event_rule.schedule.arn }
  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "events.amazonaws.com"
  source_arn    = each.value
}

resource "aws_ssm_document" "this" {
  name          = "Repaired"
  document_type = "Session"
  content       = jsonencode({ schemaVersion = "1.0", sessionType = "Standard_Stream", inputs = {} })
  depends_on    = [aws_cloudwatch_event_target.change, aws_lambda_permission.this]
}

data "aws_ssm_document" "default" {
  name             = aws_ssm_document.this.name
  document_version = "$DEFAULT"
}

output "content" { value = data.aws_ssm_document.default.content }
"""

# All modules in an organization that enforces IAM policies.
COMPONENTS = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region                  = "eu-west-1"
  skip_metadata_api_check = true
  assume_role { role_arn = "arn:aws:iam::614208975316:role/AWSControlTowerExecution" }
}

module "instance_policy" {
  source = "MODULES/instance_policy"
}

module "config_rule" {
  source           = "MODULES/config_rule"
  home_region      = "eu-west-1"
  policy_arn       = module.instance_policy.policy_arn
  auto_remediation = true

  excluded_role_names = ["legacy-*"]
}

module "preferences" {
  source = "MODULES/preferences"
}

output "document" { value = module.config_rule.automation_document_name }
output "rule" { value = module.config_rule.rule_name }
output "automation_role" { value = module.config_rule.automation_role_arn }
output "function_role" { value = module.preferences.function_role_arn }
output "policy" { value = module.instance_policy.policy_arn }
"""

HANDLER = """
import boto3

def handle(event, context):
    action = event["tf"]["action"]
    if event["revision"] == "bad":
        raise ValueError("a bad revision")
    last = f"/last/{context.function_name}"
    boto3.client("ssm").put_parameter(Name=last, Value=action, Type="String", Overwrite=True)
    return {"action": action, "caller": boto3.client("sts").get_caller_identity()["Arn"]}
"""


def succeeded(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def initialize(terraform_in: TerraformIn, sandbox: Sandbox, root: str, key: str) -> Terraform:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", HANDLER)
    backend = {
        "bucket": sandbox.state_bucket,
        "key": key,
        "region": "eu-west-1",
        "workspace_key_prefix": "eu-west-1",
        "use_lockfile": "true",
    }
    return terraform_in(
        sandbox,
        {"main.tf": (SETUP + root).encode(), "function.zip": content.getvalue()},
        *[f"-backend-config={name}={value}" for name, value in backend.items()],
    )


def rule_remediation_function_and_state(sandbox: Sandbox, terraform_in: TerraformIn) -> None:
    terraform = initialize(terraform_in, sandbox, ROOT, "test.tfstate")
    state = sandbox.session("380917246553", "eu-west-1").client("s3")
    account = sandbox.session(ACCOUNT, "eu-west-1")

    succeeded(terraform(*APPLY, workspace=ACCOUNT))
    outputs = json.loads(succeeded(terraform("output", "-json", workspace=ACCOUNT)))
    assert outputs["result"]["value"] == {
        "action": "create",
        "caller": f"arn:aws:sts::{ACCOUNT}:assumed-role/terraform-function/terraform-function",
    }
    assert account.client("config").get_custom_rule_policy(ConfigRuleName="terraform-rule")["PolicyText"] == (
        "rule named { resourceName exists }"
    )

    succeeded(terraform(*UNCHANGED, workspace=ACCOUNT))

    failed = terraform(*APPLY, "-var=revision=bad", workspace=ACCOUNT)
    assert failed.returncode == 1
    assert "a bad revision" in failed.stderr
    succeeded(terraform(*APPLY, "-var=revision=2", workspace=ACCOUNT))
    last = "/last/terraform-function"
    assert account.client("ssm").get_parameter(Name=last)["Parameter"]["Value"] == "update"

    # The lock of somebody else stops a run; the lock file is gone after every run of our own.
    key = f"eu-west-1/{ACCOUNT}/test.tfstate"
    keys = [found["Key"] for found in state.list_objects_v2(Bucket=sandbox.state_bucket, Prefix=key)["Contents"]]
    assert keys == [key]
    lock = {"ID": "5f0e2c0b", "Operation": "OperationTypeApply", "Who": "somebody@elsewhere"}
    state.put_object(Bucket=sandbox.state_bucket, Key=f"{key}.tflock", Body=json.dumps(lock).encode())
    locked = terraform("plan", "-input=false", workspace=ACCOUNT)
    assert locked.returncode == 1
    assert "somebody@elsewhere" in locked.stderr
    state.delete_object(Bucket=sandbox.state_bucket, Key=f"{key}.tflock")

    succeeded(terraform(*DESTROY, "-var=revision=2", workspace=ACCOUNT))
    assert account.client("ssm").get_parameter(Name=last)["Parameter"]["Value"] == "delete"
    account.client("ssm").delete_parameter(Name=last)
    assert account.client("config").describe_config_rules()["ConfigRules"] == []
    state.delete_object(Bucket=sandbox.state_bucket, Key=key)


def what_repairs_drift(sandbox: Sandbox, terraform_in: TerraformIn) -> None:
    terraform = initialize(terraform_in, sandbox, REPAIR, "repair.tfstate")
    for revision in ("1", "2"):
        succeeded(terraform(*APPLY, f"-var=revision={revision}", workspace=ACCOUNT))
        succeeded(terraform(*UNCHANGED, f"-var=revision={revision}", workspace=ACCOUNT))
    outputs = json.loads(succeeded(terraform("output", "-json", workspace=ACCOUNT)))
    assert json.loads(outputs["content"]["value"])["schemaVersion"] == "1.0"

    sandbox.wait_until_idle()
    session = sandbox.session(ACCOUNT, "eu-west-1")
    ssm, sqs = session.client("ssm"), session.client("sqs")
    written = ssm.get_parameter(Name="/last/terraform-repair")["Parameter"]["Value"]
    assert written.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSControlTowerExecution/")
    ssm.delete_parameter(Name="/last/terraform-repair")
    assert sandbox.fire_schedules(ACCOUNT, "eu-west-1") == 1
    sandbox.wait_until_idle()
    for name, key in (("repair-failures", "requestContext"), ("repair-dead-letters", "revision")):
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
        assert key in json.loads(message["Body"])

    succeeded(terraform(*DESTROY, workspace=ACCOUNT))
    sandbox.wait_until_idle()
    key = f"eu-west-1/{ACCOUNT}/repair.tfstate"
    sandbox.session("380917246553", "eu-west-1").client("s3").delete_object(Bucket=sandbox.state_bucket, Key=key)


PREFERENCES = "SSM-SessionManagerRunShell"


EC2_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def take_away(admin: boto3.Session, role_arn: str, action: str) -> None:
    """Remove an action from the inline policies of a role."""
    iam, role = admin.client("iam"), role_arn.rpartition("/")[2]
    removed = 0
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for statement in document["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            if statement["Effect"] == "Allow" and action in actions:
                statement["Action"] = [each for each in actions if each != action] or "none:None"
                removed += 1
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    assert removed


def roles_that_stay_as_they_are(enforcing: Sandbox, admin: boto3.Session, outputs: dict[str, str]) -> None:
    """An excluded role, whatever the document is started with, and one that has as many policies as it may have."""
    ssm, iam, config = admin.client("ssm"), admin.client("iam"), admin.client("config")
    names = ("legacy-batch", "full")
    ids = {}
    for name in names:
        ids[name] = iam.create_role(RoleName=name, AssumeRolePolicyDocument=EC2_TRUST)["Role"]["RoleId"]
    statement = {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    others = [iam.create_policy(PolicyName=f"Other{n}", PolicyDocument=document)["Policy"]["Arn"] for n in range(10)]
    for arn in others:
        iam.attach_role_policy(RoleName="full", PolicyArn=arn)
    for name in names:
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    enforcing.wait_until_idle()

    def judged(name: str) -> list[str]:
        details = config.get_compliance_details_by_resource(ResourceType="AWS::IAM::Role", ResourceId=ids[name])
        return [result["ComplianceType"] for result in details["EvaluationResults"]]

    assert (judged("full"), judged("legacy-batch")) == (["NON_COMPLIANT"], [])
    (status,) = config.describe_remediation_execution_status(
        ConfigRuleName=outputs["rule"], ResourceKeys=[{"resourceType": "AWS::IAM::Role", "resourceId": ids["full"]}]
    )["RemediationExecutionStatuses"]
    assert status["State"] == "FAILED"
    assert "detach one or raise it" in status["StepDetails"][0]["ErrorMessage"]

    given = {"AutomationAssumeRole": [outputs["automation_role"]], "IAMResourceId": [ids["legacy-batch"]]}
    with pytest.raises(ClientError, match="InvalidAutomationExecutionParameters"):
        ssm.start_automation_execution(
            DocumentName=outputs["document"], Parameters={**given, "ExcludedRoleNames": ["none"]}
        )
    started = ssm.start_automation_execution(DocumentName=outputs["document"], Parameters=given)
    enforcing.wait_until_idle()
    execution = ssm.get_automation_execution(AutomationExecutionId=started["AutomationExecutionId"])
    assert "the roles named legacy-* are excluded" in execution["AutomationExecution"]["FailureMessage"]
    assert iam.list_attached_role_policies(RoleName="legacy-batch")["AttachedPolicies"] == []

    for arn in others:
        iam.detach_role_policy(RoleName="full", PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)
    for name in names:
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
        iam.delete_instance_profile(InstanceProfileName=name)
    enforcing.wait_until_idle()
    for name in names:
        iam.delete_role(RoleName=name)
    enforcing.wait_until_idle()


def the_modules_grant_what_is_needed(enforcing: Sandbox, terraform_in: TerraformIn) -> None:
    terraform = terraform_in(enforcing, {"main.tf": COMPONENTS.replace("MODULES", str(MODULES)).encode()})
    succeeded(terraform(*APPLY))
    outputs = {name: each["value"] for name, each in json.loads(succeeded(terraform("output", "-json"))).items()}
    admin = enforcing.session(ACCOUNT, "eu-west-1")
    ssm, iam, config = admin.client("ssm"), admin.client("iam"), admin.client("config")
    enforcing.wait_until_idle()

    def compliance() -> str:
        described = config.describe_compliance_by_config_rule(ConfigRuleNames=[outputs["rule"]])
        return described["ComplianceByConfigRules"][0]["Compliance"]["ComplianceType"]

    def timeout() -> str:
        content = json.loads(ssm.get_document(Name=PREFERENCES)["Content"])
        return str(content["inputs"]["idleSessionTimeout"])

    def tamper() -> None:
        content = json.loads(ssm.get_document(Name=PREFERENCES)["Content"])
        content["inputs"]["idleSessionTimeout"] = "60"
        written = ssm.update_document(Name=PREFERENCES, Content=json.dumps(content), DocumentVersion="$LATEST")
        version = written["DocumentDescription"]["DocumentVersion"]
        ssm.update_document_default_version(Name=PREFERENCES, DocumentVersion=version)
        enforcing.wait_until_idle()

    # The automation has attached the policy, the function repairs what somebody else changes.
    assert compliance() == "COMPLIANT"
    attached = iam.list_attached_role_policies(RoleName="app-server")["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [outputs["policy"]]
    assert timeout() == "20"
    tamper()
    assert timeout() == "20"

    roles_that_stay_as_they_are(enforcing, admin, outputs)
    assert compliance() == "COMPLIANT"

    take_away(admin, outputs["automation_role"], "iam:AttachRolePolicy")
    iam.detach_role_policy(RoleName="app-server", PolicyArn=outputs["policy"])
    enforcing.wait_until_idle()
    assert compliance() == "NON_COMPLIANT"
    failed = ssm.describe_automation_executions(
        Filters=[
            {"Key": "DocumentNamePrefix", "Values": [outputs["document"]]},
            {"Key": "ExecutionStatus", "Values": ["Failed"]},
        ]
    )["AutomationExecutionMetadataList"]
    assert "not authorized to perform: iam:AttachRolePolicy" in failed[0]["FailureMessage"]

    take_away(admin, outputs["function_role"], "ssm:UpdateDocument")
    tamper()
    assert timeout() == "60"

    succeeded(terraform(*DESTROY))
    enforcing.wait_until_idle()


@pytest.fixture(scope="session")
def terraform_in(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Callable[..., subprocess.CompletedProcess[str]]]:
    """Initialize a root module in a sandbox and return what runs terraform in it."""
    binary = find_terraform()

    def initialize(
        sandbox: Sandbox, files: Mapping[str, bytes], *arguments: str
    ) -> Callable[..., subprocess.CompletedProcess[str]]:
        home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("root")
        environment = child_environment({**os.environ, **sandbox.environment(), "HOME": str(home)}, home, COLLECT_LATE)
        for name, content in files.items():
            (folder / name).write_bytes(content)

        def run(*command: str, workspace: str = "") -> subprocess.CompletedProcess[str]:
            with attachment(command[0], folder, environment) as attached:
                return subprocess.run(
                    [binary, *command, "-no-color"],
                    cwd=folder,
                    env={**environment, **attached, "TF_WORKSPACE": workspace},
                    capture_output=True,
                    text=True,
                    timeout=300,
                    check=False,
                )

        initialized = run("init", *arguments)
        assert initialized.returncode == 0, initialized.stderr
        return run

    return initialize


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The organization once more, where roles may do what their policies allow."""
    with Sandbox.start(default_organization(), tmp_path_factory.mktemp("enforcing"), enforce_iam=True) as running:
        yield running


@pytest.fixture(scope="module")
def running(sandbox: Sandbox, enforcing: Sandbox, terraform_in: TerraformIn) -> Iterator[dict[str, Future[None]]]:
    """All scenarios, under way."""

    def play(scenario: Callable[[Sandbox, TerraformIn], None], where: Sandbox) -> None:
        roots: list[Terraform] = []

        def remembering(*arguments: Any, **options: Any) -> Terraform:  # noqa: ANN401 - those of `terraform_in`
            roots.append(terraform_in(*arguments, **options))
            return roots[-1]

        try:
            scenario(where, remembering)
        except BaseException:
            # The other tests of this process use the same organization.
            for root in roots:
                root(*DESTROY, workspace=ACCOUNT if where is sandbox else "")
            raise

    with ThreadPoolExecutor() as pool:
        yield {
            scenario.__name__: pool.submit(play, scenario, where)
            for scenario, where in (
                (what_repairs_drift, sandbox),
                (the_modules_grant_what_is_needed, enforcing),
                (rule_remediation_function_and_state, sandbox),
            )
        }


@pytest.mark.parametrize(
    "name", ["what_repairs_drift", "the_modules_grant_what_is_needed", "rule_remediation_function_and_state"]
)
def test_terraform(running: dict[str, Future[None]], name: str) -> None:
    running[name].result()
