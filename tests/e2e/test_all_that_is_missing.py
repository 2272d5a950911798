"""Twelve accounts, each with another prerequisite missing: all is found beforehand, and nothing is left half-done."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aws_sandbox import Sandbox, SandboxAccount, SandboxOrganization
from session_manager_fleet.run.beforehand import first_plan
from session_manager_fleet.run.existing import _KINDS, PUBLIC_SHARING
from session_manager_fleet.targets import EVERYTHING, Inventory
from session_manager_fleet.terraform.processes import MARKER

from .conftest import Finished, run_command
from .keys import logs_key

HOME, OPT_IN = "eu-west-1", "ap-south-2"
FUNCTION, GROUP = "session-manager-preferences", "ssm-sessionmanager-logs"
NAMES = (
    *("Management", "Archive", "Recorder", "Preferences", "Drift", "Policies", "Role", "Region"),
    *("Attachments", "Keys", "Destinations", "Healthy"),
)
IDS = {name: f"5402819374{number:02}" for number, name in enumerate(NAMES, start=10)}
ORGANIZATION = SandboxOrganization(
    id="o-missing123456",
    management_account_id=IDS["Management"],
    accounts=(
        *(
            SandboxAccount(
                IDS[name],
                name,
                f"{name.lower()}@example.com",
                "Workloads",
                disabled_regions=(OPT_IN,) if name == "Region" else (),
            )
            for name in NAMES
        ),
        # The last ones hold what others have left behind.
        *(SandboxAccount(f"64028193740{n}", f"Seed{n}", f"seed{n}@example.com", "Seed") for n in range(3)),
    ),
    organizational_units=(),
    home_region=HOME,
    regions=(HOME, OPT_IN),
)
NOTHING = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        },
    }
)
BUCKET, OWN_BUCKET = "session-logs-of-somebody", "own-session-logs"
# What each account is refused for, in the plan and by doctor, beginning with the first words.
EXPECTED = {
    "Management": ["Service control policies are not enabled in the organization"],
    "Archive": [
        f"Bucket {BUCKET} already exists in another account",
        "The KMS alias alias/session-manager/log-archive",
    ],
    "Recorder": [f"AWS Config has no recorder in {HOME}"],
    "Preferences": [
        f"The log group {GROUP}",
        f"The log group /aws/lambda/{FUNCTION}",
        "The KMS alias alias/session-manager/logs",
        "The KMS alias alias/session-manager/data",
        "The SSM parameter /session-manager/session-data-key",
        f"The Lambda function {FUNCTION}",
        f"The IAM role {FUNCTION}-{HOME}",
    ],
    "Drift": [
        f"The SQS queue {FUNCTION}-failures",
        f"The CloudWatch alarm {FUNCTION}-failures",
        f"The EventBridge rule {FUNCTION}-api-calls",
        f"The EventBridge rule {FUNCTION}-schedule",
        "901 more reserved executions would leave 99",
    ],
    "Policies": [
        "The IAM policy SessionManagerLogPolicy (path /other/)",
        "The Config rule iam-ec2-role-has-required-policy",
        "The Automation document Attach-ssm-policy-to-instance-profile",
        "The IAM role Attach-ssm-policy-to-instance-profile",
    ],
    "Attachments": ["The role nobody does not exist", "The role crowded has 10 managed policies of at most 10"],
    "Keys": ["is Disabled", "does not allow logs.eu-west-1.amazonaws.com"],
    "Destinations": [
        "cloudWatchLogGroupName would refuse sessions or lose their logs: gone does not exist",
        f"s3BucketName would lose logs: {OWN_BUCKET} does not exist",
    ],
}

pytestmark = pytest.mark.terraform


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox.start(ORGANIZATION, tmp_path_factory.mktemp("missing")) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Callable[[str, str], Any]:
    return lambda name, service: sandbox.session(IDS[name], HOME).client(service)  # type: ignore[call-overload]


@pytest.fixture
def keys(sandbox: Sandbox, client: Callable[[str, str], Any]) -> dict[str, str]:
    """Take a prerequisite from each account; returns keys by what is wrong with them."""
    organizations = client("Management", "organizations")
    (root,) = organizations.list_roots()["Roots"]
    if root["PolicyTypes"]:
        organizations.disable_policy_type(RootId=root["Id"], PolicyType="SERVICE_CONTROL_POLICY")
    place: Any = {"LocationConstraint": HOME}
    client("Healthy", "s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    key = client("Archive", "kms").create_key()["KeyMetadata"]["KeyId"]
    client("Archive", "kms").create_alias(AliasName="alias/session-manager/log-archive", TargetKeyId=key)
    client("Recorder", "config").delete_configuration_recorder(ConfigurationRecorderName="default")
    _preferences(sandbox, client)
    _drift(client)
    _policies(client)
    iam = client("Role", "iam")
    iam.delete_role_policy(RoleName=ORGANIZATION.deployment_role, PolicyName="administrator")
    iam.delete_role(RoleName=ORGANIZATION.deployment_role)
    iam = client("Attachments", "iam")
    iam.create_role(RoleName="crowded", AssumeRolePolicyDocument=TRUST)
    for number in range(10):
        arn = iam.create_policy(PolicyName=f"many-{number}", PolicyDocument=NOTHING)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="crowded", PolicyArn=arn)
    kms = client("Keys", "kms")
    disabled, closed = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    kms.disable_key(KeyId=disabled)
    return {"disabled": disabled, "closed": closed}


def _preferences(sandbox: Sandbox, client: Callable[[str, str], Any]) -> None:
    name = "Preferences"
    key = logs_key(sandbox.session(IDS[name], HOME), HOME, IDS[name])
    for alias in ("logs", "data"):
        client(name, "kms").create_alias(AliasName=f"alias/session-manager/{alias}", TargetKeyId=key)
    for group in (GROUP, f"/aws/lambda/{FUNCTION}"):
        client(name, "logs").create_log_group(logGroupName=group)
    client(name, "ssm").put_parameter(Name="/session-manager/session-data-key", Value="x", Type="String")
    role = client(name, "iam").create_role(RoleName=f"{FUNCTION}-{HOME}", AssumeRolePolicyDocument=TRUST)["Role"]
    client(name, "lambda").create_function(
        FunctionName=FUNCTION,
        Role=role["Arn"],
        Code={"ZipFile": (Path(__file__).parents[2] / "modules/preferences/lambda.zip").read_bytes()},
        Handler="x.y",
        Runtime="python3.13",
    )


def _drift(client: Callable[[str, str], Any]) -> None:
    client("Drift", "sqs").create_queue(QueueName=f"{FUNCTION}-failures")
    client("Drift", "cloudwatch").put_metric_alarm(
        AlarmName=f"{FUNCTION}-failures", EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold"
    )
    for rule in ("api-calls", "schedule"):
        client("Drift", "events").put_rule(Name=f"{FUNCTION}-{rule}", ScheduleExpression="rate(1 hour)")


def _policies(client: Callable[[str, str], Any]) -> None:
    iam, document = client("Policies", "iam"), "Attach-ssm-policy-to-instance-profile"
    iam.create_policy(PolicyName="SessionManagerLogPolicy", Path="/other/", PolicyDocument=NOTHING)
    iam.create_role(RoleName=document, AssumeRolePolicyDocument=TRUST)
    source: Any = {"Owner": "AWS", "SourceIdentifier": "IAM_USER_MFA_ENABLED"}
    rule = {"ConfigRuleName": "iam-ec2-role-has-required-policy", "Source": source}
    client("Policies", "config").put_config_rule(ConfigRule=rule)
    client("Policies", "ssm").create_document(
        Name=document, DocumentType="Automation", Content='{"schemaVersion": "0.3", "mainSteps": []}'
    )


@pytest.fixture
def config(tmp_path: Path, keys: dict[str, str]) -> Path:
    def override(name: str, **values: object) -> dict[str, Any]:
        return {"match": {"accounts": [name]}, "set": values}

    settings = {
        "schema_version": 1,
        "organization": {
            "id": ORGANIZATION.id,
            "home_region": HOME,
            "regions": [HOME, OPT_IN],
            "log_archive_account": "Archive",
            "deployment_role": {"name": ORGANIZATION.deployment_role},
        },
        "log_archive": {"bucket_name": BUCKET},
        "guardrails": {"attach_to": [IDS["Healthy"]]},
        # Each plan takes seconds: no more than what is to be refused.
        "defaults": {
            "config_rule": {"enabled": False},
            "preferences": {"drift_repair": {"enabled": False}, "s3": {"enabled": False}},
        },
        "overrides": [
            {"match": {"ou": "**"}, "set": {"regions": [HOME]}},
            override("Recorder", config_rule={"enabled": True}, preferences={"enabled": False}),
            override(
                "Drift",
                preferences={"drift_repair": {"enabled": True}, "function": {"reserved_concurrent_executions": 901}},
            ),
            override("Policies", config_rule={"enabled": True}, preferences={"enabled": False}),
            override("Region", regions=[HOME, OPT_IN]),
            override("Attachments", instance_policy={"attach_to_roles": ["crowded", "nobody"]}),
            override(
                "Keys",
                preferences={
                    "session_key": {"kms_key_arn": keys["disabled"]},
                    "cloudwatch": {"kms_key_arn": keys["closed"]},
                },
            ),
            override(
                "Destinations",
                preferences={
                    "cloudwatch": {"create_log_group": False, "log_group_name": "gone"},
                    "s3": {"enabled": True, "bucket_name": OWN_BUCKET, "bucket_account_id": IDS["Destinations"]},
                },
            ),
        ],
        "waves": [{"name": "all", "max_failures": "100%"}],
    }
    path = tmp_path / "organization.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def rollout(sandbox: Sandbox, config: Path, tmp_path: Path) -> Callable[..., Finished]:
    environment = {name: value for name, value in os.environ.items() if name != MARKER and not name.startswith("AWS_")}
    environment.update(sandbox.environment())
    return lambda *arguments: run_command(["-c", str(config), *arguments], tmp_path, environment)


WRITES = re.compile(r" \w+:(Create|Put|Update|Delete|Attach|Associate|Add|Tag|Enable|Schedule)\w* 2\d\d ")


@pytest.mark.slow
def test_all_that_is_missing_is_found_and_nothing_is_half_done(
    sandbox: Sandbox, rollout: Callable[..., Finished], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = ("--all", "--exclude", "ou=Seed")
    doctor = rollout("doctor", *selection, "--format", "json")
    listed = json.loads(doctor.output[doctor.output.index("{") :])["checks"]
    assert doctor.code == 2, [check for check in listed if check["verdict"] == "not_checked"]
    checks = defaultdict(list)
    for check in listed:
        if check["verdict"] != "ok":
            assert check["verdict"] == "finding", check
            assert check["fix"] or check["account_id"] is None
            checks[check["account_name"]].append(f"{check['message']} {check['fix']}")
    found = {name: [text for text in texts if "No trail" not in text] for name, texts in checks.items()}
    for name, beginnings in EXPECTED.items():
        assert len(found[name]) == len(beginnings), found[name]
        for beginning in beginnings:
            assert [text for text in found[name] if beginning in text], (name, beginning, found[name])
    assert "Create the role" in found["Role"][0]
    assert "Healthy" not in found

    log = sandbox.folder / "server.log"
    before = len(log.read_text())
    foundation = rollout("plan", "--account", "Management", "--account", "Archive")
    assert foundation.code == 1, foundation.output
    entries = foundation.summary["targets"]
    # Without the foundation nothing else would start.
    applied = rollout("apply", *selection, "--exclude", "Management", "--exclude", "Archive", "--yes")
    assert applied.code == 1, applied.output
    entries += applied.summary["targets"]
    targets = {(entry["account_name"], entry["region"]): entry for entry in entries}
    assert targets["Healthy", HOME]["status"] == "applied"
    assert targets["Region", HOME]["status"] == "applied"
    assert f"{OPT_IN} is not enabled in the account" in applied.plain
    for name, beginnings in EXPECTED.items():
        entry = targets[name, HOME]
        assert (entry["status"], entry["step"]) == ("failed", "plan"), entry
        for beginning in beginnings:
            assert beginning in entry["failure"]["message"], (name, beginning)
    # No call has changed anything in an account that was refused.
    calls = log.read_text()[before:].splitlines()
    refused = {IDS[name] for name in (*EXPECTED, "Role")} - {IDS["Management"]}
    changing = [line for line in calls if WRITES.search(line) and line.split(" ")[2] in refused]
    assert changing == []

    # What doctor takes for the first plan is what Terraform plans.
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    inventory = Inventory.load(config)
    plans = {(path.parts[-3], path.parts[-2]): path for path in config.parent.glob("runs/*/*/*/plan.json")}
    assert len(plans) >= len(EXPECTED)
    for target in inventory.select(EVERYTHING).targets:
        if plan := plans.get((target.account.id, target.region)):
            guessed = first_plan(target, inventory.settings.effective(target.account, target.region))
            assert created(guessed) == created(json.loads(plan.read_text())), target.account.name


NAMED = {*_KINDS, "aws_s3_bucket", "aws_iam_role_policy_attachment", "aws_organizations_policy_attachment"}


def created(plan: dict[str, Any]) -> dict[str, Any]:
    """The names of what a plan creates and AWS knows by name, by address."""
    names = {
        "aws_lambda_function": "function_name",
        "aws_cloudwatch_metric_alarm": "alarm_name",
        "aws_config_remediation_configuration": "config_rule_name",
        "aws_s3_bucket": "bucket",
        "aws_iam_role_policy_attachment": "role",
        "aws_organizations_policy_attachment": "target_id",
    }
    return {
        entry["address"]: entry["change"]["after"].get(names.get(entry["type"], "name"))
        for entry in plan["resource_changes"]
        if entry["type"] in NAMED - {PUBLIC_SHARING} and entry["change"]["actions"] == ["create"]
    }
