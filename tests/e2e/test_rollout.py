"""Plan and apply through the command line: what succeeds is there, what fails is told, and nothing else is touched."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from aws_sandbox import Sandbox

EXAMPLE = Path(__file__).with_name("organization.yaml")

pytestmark = pytest.mark.terraform


def account_of(sandbox: Sandbox, name: str) -> str:
    return next(account.id for account in sandbox.organization.accounts if account.name == name)


def with_changes(tmp_path: Path, **organization: object) -> Path:
    """The example's settings with other values for the organization."""
    settings = yaml.safe_load(EXAMPLE.read_text())
    settings["organization"].update(organization)
    path = tmp_path / "organization.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def _skip_what_is_clean(session: boto3.Session, rollout: Callable[..., Any]) -> None:
    """What the last plan found clean is not planned again, until something is changed that no check looks at."""
    skipped = rollout("plan", "--account", "LogArchive", "--skip-clean")
    assert (skipped.code, skipped.summary["totals"]["no_changes"]) == (0, 2), skipped.output
    home, other = skipped.summary["targets"]
    assert (home["skipped_plan"], other["skipped_plan"]) == (False, True), skipped.output
    assert "2 targets: 2 no changes (1 verified instead of planned)" in skipped.plain
    assert "verified, no changes" in skipped.plain
    # A plan has nothing to say of roles that lack the policy; verify has.
    log = (skipped.folder / "runs" / skipped.summary["run_id"] / home["log"]).read_text()
    assert log.startswith("Terraform plans it, because verify does not find it clean: ")

    sqs = session.client("sqs")
    url = sqs.get_queue_url(QueueName="session-manager-preferences-failures")["QueueUrl"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "7"})
    changed = rollout("plan", "--account", "LogArchive", "--region", "us-east-1", "--skip-clean")
    assert (changed.code, changed.summary["totals"]["changes"]) == (2, 1), changed.output
    [entry] = changed.summary["targets"]
    log = (changed.folder / "runs" / changed.summary["run_id"] / entry["log"]).read_text()
    assert "about module.preferences[0].aws_sqs_queue.failures[0]" in log
    sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


def test_applies_saved_plans_and_reads_back_through_aws(sandbox: Sandbox, rollout: Callable[..., Any]) -> None:
    planned = rollout("plan", "--account", "LogArchive")
    assert planned.code == 2, planned.output
    assert planned.summary["totals"]["changes"] == 2
    assert {entry["region"] for entry in planned.summary["targets"]} == {"eu-west-1", "us-east-1"}
    run_id = planned.summary["run_id"]

    applied = rollout("apply", run_id)
    assert applied.code == 0, applied.output
    assert [entry["status"] for entry in applied.summary["targets"]] == ["applied", "applied"]
    assert applied.summary["change_sets"] == planned.summary["change_sets"]

    again = rollout("plan", "--account", "LogArchive")
    assert again.code == 0, again.output
    assert again.summary["totals"]["no_changes"] == 2

    account = account_of(sandbox, "LogArchive")
    _skip_what_is_clean(sandbox.session(account, "us-east-1"), rollout)
    for region in ("eu-west-1", "us-east-1"):
        session = sandbox.session(account, region)
        ssm, kms, logs = session.client("ssm"), session.client("kms"), session.client("logs")
        described = ssm.describe_document(Name="SSM-SessionManagerRunShell")["Document"]
        assert described["DefaultVersion"] == described["LatestVersion"]
        document = json.loads(ssm.get_document(Name="SSM-SessionManagerRunShell")["Content"])
        assert document["sessionType"] == "Standard_Stream"
        inputs = document["inputs"]
        aliases = {
            entry["AliasName"]: entry["TargetKeyId"]
            for entry in kms.list_aliases()["Aliases"]
            if "TargetKeyId" in entry
        }
        data_key, logs_key = aliases["alias/session-manager/data"], aliases["alias/session-manager/logs"]
        assert inputs["kmsKeyId"] == kms.describe_key(KeyId=data_key)["KeyMetadata"]["Arn"]
        assert inputs["cloudWatchLogGroupName"] == "ssm-sessionmanager-logs"
        assert inputs["cloudWatchEncryptionEnabled"] is True
        # LogArchive's tag data=restricted turns streaming on and shortens the idle timeout in the example.
        assert inputs["cloudWatchStreamingEnabled"] is True
        assert (inputs["idleSessionTimeout"], inputs["maxSessionDuration"]) == ("10", "60")
        for key in (data_key, logs_key):
            assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
        parameter = ssm.get_parameter(Name="/session-manager/session-data-key")["Parameter"]
        assert parameter["Value"] == data_key
        groups = {group["logGroupName"]: group for group in logs.describe_log_groups()["logGroups"]}
        assert groups["ssm-sessionmanager-logs"]["retentionInDays"] == 90
        assert groups["ssm-sessionmanager-logs"]["kmsKeyId"].endswith(logs_key)
        assert "/aws/lambda/session-manager-preferences" in groups

    home, other = sandbox.session(account, "eu-west-1"), sandbox.session(account, "us-east-1")
    policy_arn = f"arn:aws:iam::{account}:policy/SessionManagerLogPolicy"
    assert home.client("iam").get_policy(PolicyArn=policy_arn)["Policy"]["Arn"] == policy_arn
    rules = home.client("config").describe_config_rules()["ConfigRules"]
    assert [rule["ConfigRuleName"] for rule in rules] == ["iam-ec2-role-has-required-policy"]
    remediations = home.client("config").describe_remediation_configurations(
        ConfigRuleNames=["iam-ec2-role-has-required-policy"]
    )["RemediationConfigurations"]
    assert [entry["TargetId"] for entry in remediations] == ["Attach-ssm-policy-to-instance-profile"]
    assert not remediations[0].get("Automatic")
    assert other.client("config").describe_config_rules()["ConfigRules"] == []

    state = sandbox.session(sandbox.organization.management_account_id, "eu-west-1").client("s3")
    keys = {entry["Key"] for entry in state.list_objects_v2(Bucket=sandbox.state_bucket)["Contents"]}
    assert f"session-manager/eu-west-1/{account}/terraform.tfstate" in keys
    assert f"session-manager/us-east-1/{account}-us-east-1/terraform.tfstate" in keys
    assert not any(key.endswith(".tflock") for key in keys)

    folder = planned.folder / "runs" / run_id
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("terraform.tfvars", "tfplan", "plan.json", "terraform.log"):
        assert stat.S_IMODE((folder / account / "eu-west-1" / name).stat().st_mode) == 0o600


def test_a_denied_call_fails_the_apply_of_its_target_only(sandbox: Sandbox, rollout: Callable[..., Any]) -> None:
    payments = account_of(sandbox, "Payments")
    sandbox.inject_fault(
        "logs", "CreateLogGroup", account=payments, code="AccessDeniedException", message="denied by test", times=-1
    )
    finished = rollout("apply", "--account", "Payments", "--account", "Audit", "--region", "us-east-1", "--yes")
    assert finished.code == 1
    results = {entry["account_name"]: entry for entry in finished.summary["targets"]}
    assert results["Audit"]["status"] == "applied", finished.output
    failure = results["Payments"]["failure"]
    assert results["Payments"]["step"] == "apply"
    assert failure["kind"] == "terraform"
    assert any("denied by test" in text and "aws_cloudwatch_log_group" in text for text in failure["diagnostics"])

    sandbox.clear_faults()
    repaired = rollout("apply", "--account", "Payments", "--region", "us-east-1", "--yes")
    assert repaired.code == 0, repaired.output


def test_a_role_that_does_not_exist_is_refused_before_anything_starts(
    sandbox: Sandbox, rollout: Callable[..., Any], tmp_path: Path
) -> None:
    config = with_changes(tmp_path, deployment_role={"name": "NoSuchRole"})
    finished = rollout("plan", "--account", "Audit", "--region", "eu-west-1", config=config)
    assert finished.code == 1
    assert f"arn:aws:iam::{account_of(sandbox, 'Audit')}:role/NoSuchRole" in finished.plain
    assert "Create the role, let it trust your credentials, or correct organization.deployment_role." in finished.plain
    assert not list(finished.folder.glob("runs/2*"))


def test_an_organization_that_is_not_the_callers_is_refused(rollout: Callable[..., Any], tmp_path: Path) -> None:
    finished = rollout("plan", "--all", config=with_changes(tmp_path, id="o-somebodyelse"))
    assert finished.code == 64
    assert "organization.id" in finished.plain
    assert not (finished.folder / "runs").exists()


def test_a_bucket_name_that_is_taken_is_refused_before_anything_is_made(
    sandbox: Sandbox, rollout: Callable[..., Any], tmp_path: Path
) -> None:
    s3 = sandbox.session(account_of(sandbox, "Audit"), "eu-west-1").client("s3")
    s3.create_bucket(Bucket="taken-session-logs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    config = with_changes(tmp_path, log_archive_account="LogArchive")
    config.write_text(f"{config.read_text()}\nlog_archive: {{bucket_name: taken-session-logs}}\n")
    finished = rollout("plan", "--account", "LogArchive", "--region", "eu-west-1", config=config)
    assert finished.code == 1
    (target,) = finished.summary["targets"]
    assert target["failure"]["kind"] == "input"
    assert "Bucket taken-session-logs already exists in another account" in finished.plain


def test_a_state_bucket_that_does_not_exist_is_refused(rollout: Callable[..., Any], tmp_path: Path) -> None:
    config = with_changes(tmp_path, state={"bucket": "no-such-state-bucket"})
    finished = rollout("plan", "--account", "Audit", config=config)
    assert finished.code == 64
    assert "state bucket no-such-state-bucket does not exist" in finished.plain


def test_suspended_accounts_are_skipped_with_the_reason(rollout: Callable[..., Any]) -> None:
    finished = rollout("targets", "--all", "--format", "json")
    assert finished.code == 0
    assert "Skipped 436192807765 Retired: the account is suspended." in finished.plain


def test_apply_asks_when_nobody_is_there_to_answer(rollout: Callable[..., Any]) -> None:
    finished = rollout("apply", "--account", "Audit")
    assert finished.code == 64
    assert "--yes" in finished.plain
