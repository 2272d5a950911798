"""Roles with exactly the documented policies, opt-in regions and the ends of credentials, from the command line."""

import datetime
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from aws_sandbox import Sandbox, SandboxAccount, SandboxOrganization
from session_manager_fleet.cli.app import run
from session_manager_fleet.demo.agent import hold_session
from tests.e2e import cures

DOCS = Path(__file__).parents[2] / "docs"
HOME, OPT_IN = "eu-west-1", "ap-south-2"
MANAGEMENT, MEMBER, WITHOUT = "318407395516", "740281937465", "740281937466"
ORGANIZATION = SandboxOrganization(
    id="o-access1234567",
    management_account_id=MANAGEMENT,
    accounts=(
        SandboxAccount(MANAGEMENT, "Management", "management@example.com", "", disabled_regions=(OPT_IN,)),
        SandboxAccount(MEMBER, "Member", "member@example.com", "Workloads"),
        SandboxAccount(WITHOUT, "Without", "without@example.com", "Workloads", disabled_regions=(OPT_IN,)),
    ),
    organizational_units=(),
    home_region=HOME,
    regions=(HOME, OPT_IN),
)
READ, DEPLOYMENT = "session-manager-read", "teams/session-manager-deployment"
# Of the alarms in the home region; those of the other region have no recipient at first.
TOPIC = f"arn:aws:sns:{HOME}:{MEMBER}:failed-repairs"
# Session logs of the member account are sent on to it.
STREAM = f"arn:aws:kinesis:{HOME}:{MEMBER}:stream/session-logs"
SETTINGS = f"""\
schema_version: 1
organization:
  id: {ORGANIZATION.id}
  home_region: {HOME}
  regions: [{HOME}, {OPT_IN}]
  read_role: {{name: {READ}, in_management_account: true}}
  deployment_role: {{name: {DEPLOYMENT}, in_management_account: true}}
  log_archive_account: Member
log_archive: {{retention: {{days: 400}}}}
guardrails:
  attach_to: ["{MEMBER}"]
  # So that `verify` finds Session documents of others.
  deny: {{other_documents: false}}
  exempt_role_arns: ["arn:aws:iam::*:role/{ORGANIZATION.deployment_role}"]
defaults:
  tags: {{owner: platform}}
  preferences:
    block_public_sharing: true
    cloudwatch: {{data_protection: {{}}}}
    drift_repair: {{notify_topic_arn: "{TOPIC}"}}
overrides:
  - {{match: {{accounts: [Management]}}, set: {{regions: [{HOME}]}}}}
  - {{match: {{regions: [{OPT_IN}]}}, set: {{preferences: {{drift_repair: {{notify_topic_arn: ~}}}}}}}}
  - match: {{accounts: [Member], regions: [{HOME}]}}
    set: {{preferences: {{cloudwatch: {{subscription: {{destination_arn: "{STREAM}"}}}}}}}}
"""

Rollout = Callable[..., tuple[int, str]]


def create_role(iam: Any, path_and_name: str, policy: str) -> None:  # noqa: ANN401 - a client
    path, _, name = path_and_name.rpartition("/")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=name, Path=f"/{path}/" if path else "/", AssumeRolePolicyDocument=document)
    iam.put_role_policy(RoleName=name, PolicyName="documented", PolicyDocument=policy)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """An organization whose policies are enforced, with both roles in every account."""
    with Sandbox.start(ORGANIZATION, tmp_path_factory.mktemp("access"), enforce_iam=True) as running:
        for account in ORGANIZATION.accounts:
            iam = running.session(account.id, HOME).client("iam")
            create_role(iam, READ, (DOCS / "read-policy.json").read_text())
            create_role(iam, DEPLOYMENT, (DOCS / "deployment-policy.json").read_text())
        kinesis = running.session(MEMBER, HOME).client("kinesis")
        kinesis.create_stream(StreamName=STREAM.rpartition("/")[2], ShardCount=1)
        yield running


@pytest.fixture
def rollout(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Rollout:
    """Run a command; returns its exit code and what it prints."""
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "organization.yaml"
    config.write_text(SETTINGS)

    def call(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run(["-c", str(config), *arguments])
        printed = capsys.readouterr()
        return code, re.sub(r"\s+", " ", printed.out + printed.err)

    return call


def calls_of(sandbox: Sandbox, since: int = 0) -> list[str]:
    return (sandbox.folder / "server.log").read_text()[since:].splitlines()


@pytest.mark.slow
def test_all_is_planned_and_verified_by_the_read_role_and_changed_by_the_deployment_role(
    sandbox: Sandbox, rollout: Rollout, tmp_path: Path
) -> None:
    iam = sandbox.session(MEMBER, HOME).client("iam")
    accounts = (
        "--account",
        "Management",
        "--account",
        "Member",
        "--account",
        "Without",
        "--exclude",
        f"Without/{HOME}",
    )

    # The deployment role cannot be assumed meanwhile.
    trust = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    before = iam.get_role(RoleName=DEPLOYMENT.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
    closed = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.update_assume_role_policy(RoleName=DEPLOYMENT.rpartition("/")[2], PolicyDocument=closed)
    code, printed = rollout("plan", *accounts)
    assert code == 2, printed
    assert f"Skipped {WITHOUT} Without: {OPT_IN} is not enabled in the account." in printed
    iam.update_assume_role_policy(RoleName=DEPLOYMENT.rpartition("/")[2], PolicyDocument=json.dumps(before))

    run_id = next(path.name for path in (tmp_path / "runs").iterdir() if (path / "journal.jsonl").exists())
    code, printed = rollout("apply", run_id, "--yes")
    assert code == 0, printed
    sandbox.wait_until_idle()
    code, printed = rollout("verify", *accounts)
    assert (code, "not checked" in printed) in {(0, False), (2, False)}, printed
    for problem in ("Drift repair does not work", "What the last apply stored", "Keys are not as configured"):
        assert problem not in printed
    code, printed = rollout("verify", "--account", "Management", "--format", "json")
    checks = {check["name"]: check for check in json.loads(printed[: printed.rindex("}") + 1])["targets"][0]["checks"]}
    assert checks["guardrails"]["message"] == f'"session-manager-guardrails" is attached to {MEMBER}.'
    every_cure_cures(sandbox, rollout, accounts, tmp_path)
    cures.empty_archive(cures.clients(sandbox.session(MEMBER, HOME), HOME))
    code, printed = rollout("destroy", *accounts, "--yes", "--allow-destroy")
    assert code == 0, printed
    refused = [line for line in calls_of(sandbox) if re.search(r" sts:AssumeRole 4\d\d ", line)]
    assert refused == []


def every_cure_cures(sandbox: Sandbox, rollout: Rollout, accounts: tuple[str, ...], folder: Path) -> None:
    """Break what was applied, do literally what each finding says, and verify again."""
    config = folder / "organization.yaml"

    def verified(*selection: str) -> tuple[int, list[dict[str, Any]]]:
        sandbox.wait_until_idle()
        code, printed = rollout("verify", *(selection or accounts), "--format", "json")
        return code, json.loads(printed[printed.index("{") : printed.rindex("}") + 1])["targets"]

    def done(*words: str) -> None:
        code, printed = rollout(*words, "--yes")
        assert code == 0, printed

    def hold_a_session() -> None:
        agent = sandbox.instance_session(MEMBER, "app-server", HOME)
        hold_session(sandbox.session(MEMBER, HOME), agent, node, "$ whoami\n")

    def create_endpoints() -> None:
        root = folder / "endpoints"
        root.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            # The provider is where the rollout found it.
            patch.setenv("TF_CLI_CONFIG_FILE", str(next((folder / "runs").glob("*/terraform.tfrc"))))
            role = ORGANIZATION.role_arn(MEMBER)
            cures.create_endpoints(sandbox.session(MEMBER, HOME), vpc, ORGANIZATION.id, role, root)

    follower = cures.Follower(
        lambda account: sandbox.session(account, HOME),
        done,
        {cures.OF_SESSIONS: hold_a_session, cures.OF_ENDPOINTS: create_endpoints},
    )
    management = cures.clients(sandbox.session(MANAGEMENT, HOME), HOME)
    home, other = (cures.clients(sandbox.session(MEMBER, HOME), region) for region in (HOME, OPT_IN))
    cures.use_default_host_management(home, MEMBER, HOME)
    code, targets = verified("--account", "Member", "--region", HOME)
    # The rule of AWS Config may have evaluated the role already.
    assert (code, set(findings(targets)[f"{MEMBER}/{HOME}"]) - {"config_rule"}) == (2, {"roles"})
    follower.follow(targets)
    code, targets = verified()
    # Without a recipient an alarm is a finding that changes no exit code.
    assert (code, list(findings(targets)[f"{MEMBER}/{OPT_IN}"])) == (0, ["alarm_recipient"])
    assert not any(checks for place, checks in findings(targets).items() if place != f"{MEMBER}/{OPT_IN}")

    # The five sabotages of an audit, each alone and all together.
    sabotages = cures.sabotages(management, home, other, MEMBER, HOME)
    for sabotage in sabotages:
        sabotage.do()
        account, region = (
            (MANAGEMENT if sabotage.check == "guardrails" else MEMBER),
            OPT_IN if sabotage.elsewhere else HOME,
        )
        code, targets = verified("--account", account, "--region", region)
        found = {check["name"]: check["severity"] for check in targets[0]["checks"] if check["verdict"] == "finding"}
        for also in {"alarm_recipient", "config_rule"} - {sabotage.check}:
            found.pop(also, None)
        assert (code, found) == (2, {sabotage.check: sabotage.severity}), findings(targets)
        sabotage.undo()
    for sabotage in sabotages:
        sabotage.do()
    code, targets = verified()
    assert code == 2
    sabotaged = {sabotage.check for sabotage in sabotages}
    assert {name for checks in findings(targets).values() for name in checks} - {"config_rule"} == sabotaged | {
        "alarm_recipient"
    }

    # More of it, so that every check but one finds something. Drift repair has no rules to put anything back with.
    cures.break_failures(home)
    cures.break_stored_settings(home)
    cures.break_log_group(home)
    cures.delete_instance_policy(home, MEMBER)
    cures.widen_rights(home)
    cures.break_config_rule(home)
    cures.break_archive(home)
    cures.add_document(home)
    cures.break_document(home)
    cures.break_keys(home)
    cures.delete_all(other)
    cures.switch_off_guardrails(management)
    node, vpc = cures.run_node(home)
    code, targets = verified()
    found = findings(targets)
    # What is broken is found: nothing of it is taken for a permission that the read role lacks.
    assert (code, set(verdicts(targets))) == (2, {"ok", "finding", "not_needed"}), found
    assert set(found[f"{MANAGEMENT}/{HOME}"]) == {"guardrails", "bucket", "bucket_policy", "archive"}
    assert {
        *("session_key", "preferences", "log_group", "subscription", "data_protection", "drift_repair"),
        *("applied_preferences", "public_sharing", "session_documents", "keys", "roles", "instance_policy"),
        *("config_rule", "bucket", "bucket_policy", "archive", "recorder", "endpoints", "logs", "log_streams"),
        "outside_changes",
    } <= set(found[f"{MEMBER}/{HOME}"]), found
    assert {"rollout", "session_key", "log_group", "drift_repair", "keys"} <= set(found[f"{MEMBER}/{OPT_IN}"])

    assert f"to the ARN of an SNS topic in {OPT_IN}" in str(targets)
    topic = TOPIC.replace(HOME, OPT_IN)
    config.write_text(config.read_text().replace("notify_topic_arn: ~", f"notify_topic_arn: {topic}"))
    # Some is found only when what it depends on is there again: a role that lacks the policy, and a missing log.
    for _ in range(3):
        follower.follow(targets)
        code, targets = verified()
        if code == 0:
            break
    assert (code, {place for place, checks in findings(targets).items() if checks}) == (0, set()), findings(targets)
    assert cures.unfollowed(follower.fixes) == []


def verdicts(targets: list[dict[str, Any]]) -> list[str]:
    return [check["verdict"] for target in targets for check in target["checks"]]


def findings(targets: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """The messages of what is not good, by target and check."""
    bad = {"finding", "not_checked"}
    return {
        f"{target['account_id']}/{target['region']}": {
            check["name"]: check["message"] for check in target["checks"] if check["verdict"] in bad
        }
        for target in targets
    }


def test_roles_are_assumed_where_the_callers_account_may(sandbox: Sandbox, rollout: Rollout) -> None:
    since = len((sandbox.folder / "server.log").read_text())

    code, printed = rollout("verify", "--account", "Member", "--region", OPT_IN)

    assert code == 2, printed  # nothing is applied
    assert "AWS does not accept" not in printed
    assumed = [line for line in calls_of(sandbox, since) if "sts:AssumeRole" in line]
    assert assumed
    assert all(f" {HOME} " in line for line in assumed)


def chained(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """Take the credentials of a role in the management account, and return their access key."""
    sts = boto3.client("sts", region_name=HOME, endpoint_url=sandbox.endpoint_url)
    arn = ORGANIZATION.role_arn(MANAGEMENT)
    credentials = sts.assume_role(RoleArn=arn, RoleSessionName="ci")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", credentials["SessionToken"])
    return credentials["AccessKeyId"]


def test_a_role_gets_no_sessions_over_an_hour(
    sandbox: Sandbox, rollout: Rollout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "organization.yaml").write_text(SETTINGS.replace(f"name: {READ},", f"name: {READ}, duration: 2h,"))
    chained(sandbox, monkeypatch)

    code, printed = rollout("plan", "--account", "Member")

    assert code == 64
    assert "organization.read_role.duration): The duration 2h is too long" in printed
    assert "role chaining" in printed


def test_nothing_starts_after_the_credentials_have_expired(
    sandbox: Sandbox, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = chained(sandbox, monkeypatch)
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", soon.isoformat())
    code, printed = rollout("plan", "--account", "Member")
    assert code == 1
    assert "and a plan may take 2 minutes: sign in again." in printed

    monkeypatch.delenv("AWS_CREDENTIAL_EXPIRATION")
    sandbox.expire_credentials(key)
    code, printed = rollout("plan", "--account", "Member")
    assert code == 1
    assert "The AWS credentials have expired; sign in again." in printed


def test_a_home_region_that_the_callers_account_has_not_enabled(rollout: Rollout, tmp_path: Path) -> None:
    text = SETTINGS.replace(f"home_region: {HOME}", f"home_region: {OPT_IN}").replace(
        "accounts: [Management]", "accounts: [Without]"
    )
    (tmp_path / "organization.yaml").write_text(re.sub(r"(?s)\noverrides:.*", "\n", text))

    code, printed = rollout("doctor", "--account", "Member")

    assert code != 0
    assert f"the region is not enabled in their account {MANAGEMENT}" in printed
