"""The Terraform configuration, run by the real terraform against the emulated organization.

What the modules refuse at plan time, what they plan for each of their switches, what the root composes of them, and
every example applied as it stands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.verify.config_rule import expected_text

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform

HOME, OTHER = "eu-west-1", "us-east-1"

KEY = "arn:aws:kms:eu-west-1:210987654321:key/0f5f5b5c-cb57-4552-8153-0f5f5b5ccb57"
POLICY = "arn:aws:iam::614208975316:policy/SessionManagerLogPolicy"

FUNCTION = {
    "aws_lambda_invocation.this",
    "aws_lambda_function.this",
    "aws_iam_role.function",
    "aws_iam_role_policy.function",
    "aws_cloudwatch_log_group.function",
}
API_CALLS = {
    "aws_cloudwatch_event_rule.api_calls",
    "aws_cloudwatch_event_target.api_calls",
    "aws_lambda_permission.api_calls",
    "aws_lambda_function_event_invoke_config.this",
    "aws_sqs_queue.failures",
    "aws_cloudwatch_metric_alarm.failures",
}
SCHEDULE = {
    "aws_cloudwatch_event_rule.schedule",
    "aws_cloudwatch_event_target.schedule",
    "aws_lambda_permission.schedule",
}
DRIFT_REPAIR = API_CALLS | SCHEDULE
SESSION_KEY = {"aws_kms_key.session_data", "aws_kms_alias.session_data", "aws_ssm_parameter.session_key"}
LOGS_KEY = {"aws_kms_key.logs", "aws_kms_alias.logs"}
LOG_GROUP = {"aws_cloudwatch_log_group.sessions"}

# Arguments, and the resources that they make.
PLANNED = {
    "defaults": ("", FUNCTION | DRIFT_REPAIR | SESSION_KEY | LOGS_KEY | LOG_GROUP),
    "no_drift_repair": ("drift_repair = { enabled = false }", FUNCTION | SESSION_KEY | LOGS_KEY | LOG_GROUP),
    "no_schedule": ('drift_repair = { schedule = "" }', FUNCTION | API_CALLS | SESSION_KEY | LOGS_KEY | LOG_GROUP),
    "no_session_key": ("session_key = { enabled = false }", FUNCTION | DRIFT_REPAIR | LOGS_KEY | LOG_GROUP),
    "own_session_key": (f'session_key = {{ kms_key_arn = "{KEY}" }}', FUNCTION | DRIFT_REPAIR | LOGS_KEY | LOG_GROUP),
    "own_logs_key": (f'cloudwatch = {{ kms_key_arn = "{KEY}" }}', FUNCTION | DRIFT_REPAIR | SESSION_KEY | LOG_GROUP),
    "existing_log_group": ("cloudwatch = { create_log_group = false }", FUNCTION | DRIFT_REPAIR | SESSION_KEY),
    "no_log_encryption": (
        "cloudwatch = { encryption_enabled = false }",
        FUNCTION | DRIFT_REPAIR | SESSION_KEY | LOG_GROUP,
    ),
    "s3_only": (
        """
        session_key          = { enabled = false }
        cloudwatch           = { create_log_group = false, log_group_name = "" }
        s3                   = { enabled = true, bucket_name = "logs", key_prefix = "" }
        run_as               = { enabled = true, default_user = "operator" }
        max_session_duration = 0
        shell_profile        = { windows = "Set-StrictMode -Version 3 # <event_name>" }
        drift_repair         = { notify_topic_arn = "arn:aws:sns:eu-west-1:210987654321:repairs" }
        """,
        FUNCTION | DRIFT_REPAIR,
    ),
    "waived": (
        """
        session_key = { enabled = false }
        cloudwatch  = { create_log_group = false, log_group_name = "" }
        run_as      = { enabled = true }
        waive       = ["run_as_by_tag", "no_log_destination"]
        """,
        FUNCTION | DRIFT_REPAIR,
    ),
}


def call(name: str, module: str, arguments: str) -> str:
    """A module call; a rule without a home region gets the one that every call needs."""
    home = 'home_region = "eu-west-1"\n' if module == "config_rule" and "home_region" not in arguments else ""
    lines = "\n".join(_split(arguments))
    return f'module "{name}" {{\nsource = "./modules/{module}"\n{home}{lines}\n}}\n'


def _split(arguments: str) -> list[str]:
    """Arguments apart: HCL wants each on a line of its own."""
    depth, parts = 0, [""]
    for character in arguments:
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def test_each_switch_of_the_preferences_plans_its_resources_and_no_others(caller: Terraform) -> None:
    calls = [call(name, "preferences", arguments) for name, (arguments, _) in PLANNED.items()]
    (caller.folder / "main.tf").write_text("".join(calls), encoding="utf-8")
    caller.init()
    changes = caller.plan().resource_changes.values()

    planned: dict[str, set[str]] = defaultdict(set)
    after: dict[tuple[str, str], dict[str, Any]] = {}
    for change in changes:
        address = f"{change['type']}.{change['name']}"
        name = change["module_address"].removeprefix("module.")
        if change["mode"] == "managed":
            planned[name].add(address)
            after[name, address] = change["change"]["after"]

    assert planned == {name: resources for name, (_, resources) in PLANNED.items()}
    event = json.loads(after["s3_only", "aws_lambda_invocation.this"]["input"])
    digest = after["s3_only", "aws_lambda_function.this"]["source_code_hash"]
    assert event == {
        "document": "SSM-SessionManagerRunShell",
        "preferences": {
            "s3BucketName": "logs",
            "s3KeyPrefix": "614208975316/eu-west-1",
            "s3EncryptionEnabled": True,
            "cloudWatchLogGroupName": None,
            "cloudWatchEncryptionEnabled": None,
            "cloudWatchStreamingEnabled": None,
            "kmsKeyId": None,
            "runAsEnabled": True,
            "runAsDefaultUser": "operator",
            "idleSessionTimeout": 20,
            "maxSessionDuration": None,
            "shellProfile": {"linux": None, "windows": "Set-StrictMode -Version 3 # <event_name>"},
        },
        "adopt": "replace",
        "waive": [],
        "on_destroy": "restore",
        "revision": "1",
        "function_digest": digest,
    }
    waived = json.loads(after["waived", "aws_lambda_invocation.this"]["input"])
    assert waived["waive"] == ["no_log_destination", "run_as_by_tag"]
    check_repair(after)


def check_repair(after: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Events carry no preferences; EventBridge fills in the cause; nothing is delivered after an hour."""
    topic = "arn:aws:sns:eu-west-1:210987654321:repairs"
    repair = {"action": "reconcile", "document": "SSM-SessionManagerRunShell", "notify_topic_arn": topic}
    targets = [after["s3_only", f"aws_cloudwatch_event_target.{name}"] for name in ("api_calls", "schedule")]
    assert json.loads(targets[1]["input"]) == {**repair, "destinations": True}
    (transformer,) = targets[0]["input_transformer"]
    cause = {name: f"<{name}>" for name in ("event_id", "event_name", "principal", "time")}
    assert json.loads(transformer["input_template"]) == {**repair, "cause": cause}
    assert set(transformer["input_paths"]) == set(cause)
    asynchronous = after["s3_only", "aws_lambda_function_event_invoke_config.this"]
    ages = [target["retry_policy"][0]["maximum_event_age_in_seconds"] for target in targets]
    assert {*ages, asynchronous["maximum_event_age_in_seconds"]} == {3600}
    rules = [after["s3_only", f"aws_cloudwatch_event_rule.{name}"] for name in ("api_calls", "schedule")]
    assert [rule["state"] for rule in rules] == ["ENABLED", "ENABLED"]
    queue = after["s3_only", "aws_sqs_queue.failures"]
    assert queue["kms_master_key_id"] == "alias/aws/sqs"
    assert after["s3_only", "aws_cloudwatch_metric_alarm.failures"]["alarm_actions"] == [topic]
    assert after["defaults", "aws_cloudwatch_metric_alarm.failures"]["alarm_actions"] in (None, [])


@pytest.fixture(scope="module")
def root(sandbox: Sandbox, in_account: Callable[[str], Terraform]) -> Terraform:
    """The root with its state in the bucket of the emulated organization."""
    backend = {"bucket": sandbox.state_bucket, "key": "configuration-test", "region": HOME, "use_lockfile": "true"}
    terraform = in_account(sandbox.organization.management_account_id)
    terraform.init(**backend)
    return terraform


def target(sandbox: Sandbox, region: str = HOME, **more: object) -> dict[str, object]:
    """The variables of a target in the first member account."""
    return {
        "account_id": sandbox.organization.members[0].id,
        "region": region,
        "home_region": HOME,
        "deployment_role": {"name": sandbox.organization.deployment_role},
        **more,
    }


def planned(root: Terraform, workspace: str, variables: dict[str, object]) -> dict[str, dict[str, Any]]:
    """The planned resources by module."""
    there = root.in_workspace(workspace)
    plan = there.plan(**variables)
    modules: dict[str, dict[str, Any]] = {}
    for change in plan["resource_changes"]:
        if change["mode"] == "managed":
            address = f"{change['type']}.{change['name']}"
            modules.setdefault(change["module_address"], {})[address] = change["change"]["after"]
    return modules


def test_the_state_of_another_target_is_not_destroyed(sandbox: Sandbox, root: Terraform) -> None:
    account, off = sandbox.organization.members[0].id, {"enabled": False}
    policy_only = target(sandbox, config_rule=off, preferences=off)
    there = root.in_workspace(account)
    there.apply(**policy_only)

    (error,) = there.refusals("destroy", "-auto-approve", **target(sandbox, OTHER))
    destroyed = there.destroy(**target(sandbox))

    assert f"The workspace is {account}" in error
    assert f"has the workspace {account}-{OTHER}" in error
    assert "1 destroyed" in destroyed


def test_the_root_refuses_bad_input(root: Terraform) -> None:
    role = {"name": "arn:aws:iam::1:role/x", "session_name": "a b", "duration": "60"}
    target = {"account_id": "12345", "region": HOME, "home_region": HOME}
    errors = "\n".join(root.refusals(**target, deployment_role=role))
    elsewhere = {"account_id": "123456789012", "region": "europe", "home_region": "cn-north-1"}
    region_errors = "\n".join(root.refusals(**elsewhere))

    assert "The account_id must have exactly 12 digits" in errors
    assert "The deployment_role.name must be a role name or path/name" in errors
    assert "The deployment_role.session_name must have 2 to 64" in errors
    assert "The deployment_role.duration must be a duration of 15m to 12h" in errors
    assert "The region must be a region's name" in region_errors
    assert "The region europe and the home_region cn-north-1 are in different partitions" in region_errors


def test_a_target_gets_its_components_with_names_given_once(sandbox: Sandbox, root: Terraform) -> None:
    account = sandbox.organization.members[0].id
    names = {"log_group": "sessions", "policy": "Sessions", "policy_path": "/ops/", "data_key_alias": "alias/sessions"}
    roles = {"attach_to_roles": ["web"], "attach_managed_instance_core": True}

    home = planned(root, account, target(sandbox, names=names, instance_policy=roles))
    other = planned(root, f"{account}-{OTHER}", target(sandbox, OTHER))

    # What is global belongs to the home region.
    assert set(home) == {"module.instance_policy[0]", "module.config_rule[0]", "module.preferences[0]"}
    assert set(other) == {"module.preferences[0]"}
    assert other["module.preferences[0]"].keys() == home["module.preferences[0]"].keys()

    policy = home["module.instance_policy[0]"]["aws_iam_policy.this"]
    assert (policy["name"], policy["path"]) == ("Sessions", "/ops/")
    assert ":log-group:sessions:*" in policy["policy"]
    assert "alias/sessions" in policy["policy"]
    core = home["module.instance_policy[0]"]["aws_iam_role_policy_attachment.managed_instance_core"]
    assert (core["role"], core["policy_arn"]) == ("web", "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
    preferences = home["module.preferences[0]"]
    assert preferences["aws_cloudwatch_log_group.sessions"]["name"] == "sessions"
    assert preferences["aws_kms_alias.session_data"]["name"] == "alias/sessions"


def test_each_component_is_switched_off_by_itself(sandbox: Sandbox, root: Terraform) -> None:
    account = sandbox.organization.members[0].id
    off = {"enabled": False}
    excluded = {"excluded_role_names": ["break-glass", "old.v?-*"], "excluded_role_paths": ["/platform/", "/a+b/c/"]}

    modules = planned(root, account, target(sandbox, instance_policy=off, preferences=off, config_rule=excluded))

    assert set(modules) == {"module.config_rule[0]"}
    rule = modules["module.config_rule[0]"]["aws_config_config_rule.this"]
    policy = rule["source"][0]["custom_policy_details"][0]["policy_text"]
    assert f'"arn:aws:iam::{account}:policy/SessionManagerLogPolicy"' in policy
    values = TargetSettings.model_validate({"config_rule": excluded})
    assert policy == expected_text(values, f"arn:aws:iam::{account}:policy/SessionManagerLogPolicy"), "as verify has it"
    content = json.loads(modules["module.config_rule[0]"]["aws_ssm_document.this"]["content"])
    payload = content["mainSteps"][0]["inputs"]["InputPayload"]
    assert (payload["ExcludedRoleNames"], payload["ExcludedRolePaths"]) == (
        "break-glass old.v?-*",
        "/a+b/c/ /platform/",
    )


def test_the_instance_policy_grants_the_session_keys_that_there_are(sandbox: Sandbox, root: Terraform) -> None:
    account = sandbox.organization.members[0].id
    keys = [KEY.replace("eu-west-1", region) for region in ("ap-south-1", OTHER)]
    off = {"enabled": False}
    own = {"session_key": {"kms_key_arn": KEY}}

    def granted(**instance_policy: object) -> dict[str, Any]:
        wanted = target(sandbox, config_rule=off, preferences={**off, **own}, instance_policy=instance_policy)
        document = json.loads(
            planned(root, account, wanted)["module.instance_policy[0]"]["aws_iam_policy.this"]["policy"]
        )
        return {
            statement["Sid"]: statement["Resource"]
            for statement in document["Statement"]
            if statement["Action"] == "kms:Decrypt"
        }

    everywhere = f"arn:aws:kms:*:{account}:key/*"
    assert granted() == {"DecryptSessionDataByAlias": everywhere, "DecryptSessionData": KEY}
    assert granted(session_key_by_alias=False, session_key_arns=[*keys, KEY]) == {
        "DecryptSessionData": sorted([*keys, KEY], reverse=True)
    }


# What the CloudFormation solution leaves in an account, as far as its names matter.
SEED_RULE = "iam-ec2-role-has-required-policy"
SEED_DOCUMENT = "Attach-ssm-policy-to-instance-profile"
TAKING_OVER = """
module "instance_policy" {
  source = "./modules/instance_policy"
}

module "config_rule" {
  source      = "./modules/config_rule"
  home_region = "eu-west-1"
  policy_arn  = "arn:aws:iam::ACCOUNT:policy/SessionManagerLogPolicy"
}
"""


def imports_of(readme: str) -> str:
    """The import blocks that the README of a module shows."""
    return "".join(re.findall(r"^import \{.*?^\}\n", readme, re.DOTALL | re.MULTILINE))


def seed(account: boto3.Session) -> None:
    """Make a policy, a rule and a document of the same names."""
    statement = {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    account.client("iam").create_policy(PolicyName="SessionManagerLogPolicy", PolicyDocument=document)
    account.client("config").put_config_rule(
        ConfigRule={
            "ConfigRuleName": SEED_RULE,
            "Description": "Somebody else's.",
            "Source": {
                "Owner": "CUSTOM_POLICY",
                "SourceDetails": [{"EventSource": "aws.config", "MessageType": "ConfigurationItemChangeNotification"}],
                "CustomPolicyDetails": {
                    "PolicyRuntime": "guard-2.x.x",
                    "PolicyText": "rule other { resourceName exists }",
                },
            },
        }
    )
    account.client("config").put_remediation_configurations(
        RemediationConfigurations=[
            {"ConfigRuleName": SEED_RULE, "TargetType": "SSM_DOCUMENT", "TargetId": SEED_DOCUMENT}
        ]
    )
    account.client("ssm").create_document(
        Name=SEED_DOCUMENT,
        DocumentType="Automation",
        DocumentFormat="YAML",
        Content="schemaVersion: '0.3'\nmainSteps: []\n",
    )


def by_hand(commands: str, credentials: Mapping[str, str]) -> None:
    """Run shell commands with the AWS CLI, which has to be installed, as people do."""
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE")
    given = {name: credentials[name] for name in names if name in credentials}
    environment = {**os.environ, **given, "AWS_DEFAULT_REGION": HOME, "AWS_PAGER": ""}
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], env=environment, check=True)


@pytest.mark.skipif(not shutil.which("aws"), reason="the commands of the README need the AWS CLI")
def test_what_exists_already_is_left_alone_until_it_is_taken_over(
    sandbox: Sandbox, in_account: Callable[[str], Terraform], caller: Terraform
) -> None:
    account_id = sandbox.organization.members[1].id
    account = sandbox.session(account_id, HOME)
    there = replace(in_account(account_id), folder=caller.folder)
    seed(account)
    modules = TAKING_OVER.replace("ACCOUNT", account_id)
    (there.folder / "main.tf").write_text(modules, encoding="utf-8")
    there.init()

    def rule() -> str:
        (described,) = account.client("config").describe_config_rules(ConfigRuleNames=[SEED_RULE])["ConfigRules"]
        return described["Description"]

    errors = there.refusals("apply", "-auto-approve")
    assert any("DocumentAlreadyExists" in error for error in errors)
    assert any("EntityAlreadyExists" in error for error in errors)
    assert rule() == "Somebody else's."

    readmes = [
        (there.folder / "modules" / name / "README.md").read_text() for name in ("instance_policy", "config_rule")
    ]
    imports = "\n".join(imports_of(readme) for readme in readmes).replace("111122223333", account_id)
    (there.folder / "imports.tf").write_text(imports, encoding="utf-8")
    applied = there.apply()
    assert "4 imported" in applied
    assert " 0 destroyed" in applied
    assert rule() == "Roles that EC2 instances use must have the Session Manager policy attached."

    # What the remediation attached is not Terraform's: the README has the commands that detach it.
    iam, policy = account.client("iam"), f"arn:aws:iam::{account_id}:policy/SessionManagerLogPolicy"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    trust_policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="WebServer", AssumeRolePolicyDocument=trust_policy)
    iam.attach_role_policy(RoleName="WebServer", PolicyArn=policy)
    assert any("DeleteConflict" in error for error in there.refusals("destroy", "-auto-approve"))
    assert account.client("config").describe_config_rules()["ConfigRules"] == []
    (commands,) = re.findall(r"^```sh\n(.*?)^```", readmes[0], re.DOTALL | re.MULTILINE)
    by_hand(commands.replace("111122223333", account_id), there.environment)
    there.destroy()
    iam.delete_role(RoleName="WebServer")
    assert iam.list_policies(Scope="Local")["Policies"] == []


@pytest.fixture(scope="module")
def examples(sandbox: Sandbox, in_account: Callable[[str], Terraform]) -> Iterator[dict[str, dict[str, Any]]]:
    """The outputs of examples that are applied, and that a second plan leaves alone; takes them away at the end."""
    names = ("instance_policy", "config_rule")
    member = in_account(sandbox.organization.members[0].id)
    roots = [replace(member, folder=member.folder / "examples" / name) for name in names]

    def apply(root: Terraform) -> dict[str, Any]:
        root.init()
        root.apply()
        return root.outputs()

    with ThreadPoolExecutor() as pool:
        yield dict(zip(names, pool.map(apply, roots), strict=True))
        list(pool.map(lambda root: root.destroy(), roots))


def test_instance_policy(examples: dict[str, dict[str, Any]], member: boto3.Session) -> None:
    outputs = examples["instance_policy"]

    policy = member.client("iam").get_policy(PolicyArn=outputs["policy_arn"])["Policy"]
    assert policy["PolicyName"] == "SessionManagerLogPolicy"
    assert {statement["Sid"] for statement in json.loads(outputs["policy_json"])["Statement"]} == {
        "FindLogGroup",
        "FindLogStreams",
        "WriteSessionLogs",
        "DecryptSessionDataByAlias",
        "UploadSessionLogs",
        "ReadBucketEncryption",
    }


def test_config_rule(examples: dict[str, dict[str, Any]], member: boto3.Session) -> None:
    outputs = examples["config_rule"]

    config = member.client("config")
    (remediation,) = config.describe_remediation_configurations(ConfigRuleNames=[outputs["rule_name"]])[
        "RemediationConfigurations"
    ]
    assert remediation["TargetId"] == outputs["automation_document_name"]
    assert remediation.get("Automatic", False) is False
    assert set(remediation["Parameters"]) == {"AutomationAssumeRole", "IAMResourceId", "PolicyArn"}
    document = member.client("ssm").get_document(Name=outputs["automation_document_name"])["Content"]
    assert "def attach_policy(" in json.loads(document)["mainSteps"][0]["inputs"]["Script"]
