"""`rollout.py doctor`: every finding, and the cure that it names."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox, SandboxAccount, SandboxOrganization
from session_manager_fleet.cli.app import run
from session_manager_fleet.errors import AccessError
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.retry_tokens import (
    mark_apply,
    read_revisions,
    store_retry_token,
    unmark_apply,
)
from session_manager_fleet.verify.account_prerequisites import judge_region, logs_changes

from .conftest import run_command

REGION = "eu-west-1"
MANAGEMENT, MEMBER = "318407395516", "740281937465"
ORGANIZATION = SandboxOrganization(
    id="o-doctor1234567",
    management_account_id=MANAGEMENT,
    accounts=(
        SandboxAccount(MANAGEMENT, "Management", "management@example.com", ""),
        SandboxAccount(MEMBER, "Member", "member@example.com", "Workloads"),
        # The last ones hold what others have left behind.
        SandboxAccount("740281937466", "Second", "second@example.com", "Workloads"),
        SandboxAccount("740281937467", "Third", "third@example.com", "Workloads"),
        SandboxAccount("740281937468", "Fourth", "fourth@example.com", "Workloads"),
    ),
    organizational_units=(),
    home_region=REGION,
    regions=(REGION,),
)
SETTINGS = """\
schema_version: 1
organization:
  id: {id}
  home_region: {region}
  regions: [{region}]
  deployment_role: {{name: {role}}}
guardrails: {{attach_to: ["740281937466"]}}
"""

Doctor = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """An organization of its own, whose policies are enforced."""
    with Sandbox.start(ORGANIZATION, tmp_path_factory.mktemp("doctor"), enforce_iam=True) as running:
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "organization.yaml"
    path.write_text(SETTINGS.format(id=ORGANIZATION.id, region=REGION, role=ORGANIZATION.deployment_role))
    return path


@pytest.fixture
def doctor(
    sandbox: Sandbox, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    """Run `doctor --format json`; returns the exit code and the checks."""
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(config.parent)

    def call(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
        capsys.readouterr()
        code = run(["-c", str(config), "doctor", "--format", "json", *arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, json.loads(captured.out)["checks"]

    return call


def verdict(checks: list[dict[str, Any]], name: str, account: str | None = MEMBER) -> dict[str, Any]:
    """The check of this name in an account, or on this machine."""
    (found,) = [check for check in checks if check["name"] == name and check["account_id"] == account]
    return found


@pytest.fixture
def trail(sandbox: Sandbox) -> Iterator[Any]:
    """A trail in the member account, as the cure of the finding asks for; returns its client."""
    session = sandbox.session(MEMBER, REGION)
    place: Any = {"LocationConstraint": REGION}
    session.client("s3").create_bucket(Bucket="trail-of-the-member", CreateBucketConfiguration=place)
    client = session.client("cloudtrail")
    client.create_trail(Name="all", S3BucketName="trail-of-the-member", IsMultiRegionTrail=True)
    client.start_logging(Name="all")
    yield client
    client.delete_trail(Name="all")
    session.client("s3").delete_bucket(Bucket="trail-of-the-member")


@pytest.mark.usefixtures("trail")
def test_a_member_that_has_all_is_fine(doctor: Doctor) -> None:
    code, checks = doctor("--account", "Member")

    assert {check["name"]: check["verdict"] for check in checks} == dict.fromkeys(
        [
            *("python", "terraform", "root_module", "provider", "temporary_folder", "disk"),
            *("organization", "credentials", "state_bucket", "role", "region", "recorder", "trail"),
            "first_plan",
            "nodes",
        ],
        "ok",
    )
    assert code == 0


def test_without_a_trail_that_logs_changes_drift_is_seen_late(doctor: Doctor, trail: Any) -> None:  # noqa: ANN401
    read_only = [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True, "DataResources": []}]
    trail.put_event_selectors(TrailName="all", EventSelectors=read_only)
    assert doctor("--account", "Member")[0] == 2
    trail.put_event_selectors(TrailName="all", EventSelectors=[{**read_only[0], "ReadWriteType": "All"}])
    assert doctor("--account", "Member")[0] == 0

    trail.stop_logging(Name="all")
    code, checks = doctor("--account", "Member")
    assert code == 2
    found = verdict(checks, "trail")
    assert found["message"] == f"No trail logs changes of SSM documents in {REGION}; these are stopped: all."
    assert "aws cloudtrail start-logging" in found["fix"]
    trail.start_logging(Name="all")
    assert doctor("--account", "Member")[0] == 0


@pytest.mark.usefixtures("trail")
def test_a_recorder_that_is_stopped_and_started(doctor: Doctor, sandbox: Sandbox) -> None:
    recorder = sandbox.session(MEMBER, REGION).client("config")
    (name,) = [one["name"] for one in recorder.describe_configuration_recorders()["ConfigurationRecorders"]]
    recorder.stop_configuration_recorder(ConfigurationRecorderName=name)

    code, checks = doctor("--account", "Member")

    start = f"aws configservice start-configuration-recorder --region {REGION} --configuration-recorder-name {name}"
    assert (code, verdict(checks, "recorder")["fix"]) == (2, f"Start it: `{start}`.")
    recorder.start_configuration_recorder(ConfigurationRecorderName=name)
    assert doctor("--account", "Member")[0] == 0


def test_guardrails_need_service_control_policies(doctor: Doctor, sandbox: Sandbox) -> None:
    organizations = sandbox.session(MANAGEMENT, REGION).client("organizations")
    (root,) = organizations.list_roots()["Roots"]
    if not root["PolicyTypes"]:
        organizations.enable_policy_type(RootId=root["Id"], PolicyType="SERVICE_CONTROL_POLICY")
    assert verdict(doctor("--account", "Management")[1], "policy_type", MANAGEMENT)["verdict"] == "ok"
    organizations.disable_policy_type(RootId=root["Id"], PolicyType="SERVICE_CONTROL_POLICY")

    found = verdict(doctor("--account", "Management")[1], "policy_type", MANAGEMENT)

    assert found["verdict"] == "finding"
    command = f"aws organizations enable-policy-type --root-id {root['Id']} --policy-type SERVICE_CONTROL_POLICY"
    assert command in found["fix"]
    organizations.enable_policy_type(RootId=root["Id"], PolicyType="SERVICE_CONTROL_POLICY")


def test_a_role_that_does_not_exist(doctor: Doctor, config: Path) -> None:
    right = config.read_text()
    config.write_text(right.replace(ORGANIZATION.deployment_role, "NoSuchRole"))

    code, checks = doctor("--account", "Member")

    assert code == 2
    assert "Create the role NoSuchRole there" in verdict(checks, "role")["fix"]
    assert "organization.deployment_role" in verdict(checks, "role", None)["message"]
    assert not [check for check in checks if check["name"] == "trail"]


def test_what_a_role_may_not_read_is_not_checked(doctor: Doctor, sandbox: Sandbox) -> None:
    account = "740281937468"
    iam = sandbox.session(account, REGION).client("iam")
    policy = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "cloudtrail:*", "Resource": "*"}}
    iam.put_role_policy(RoleName=ORGANIZATION.deployment_role, PolicyName="denied", PolicyDocument=json.dumps(policy))

    code, checks = doctor("--account", "Fourth")

    assert code == 1
    found = verdict(checks, "trail", account)
    assert found["verdict"] == "not_checked"
    assert found["fix"].startswith("Not checked: needs cloudtrail:DescribeTrails")
    assert verdict(checks, "recorder", account)["verdict"] in {"ok", "finding"}
    iam.delete_role_policy(RoleName=ORGANIZATION.deployment_role, PolicyName="denied")


@pytest.mark.usefixtures("doctor")
def test_the_table_shows_equal_findings_once(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")

    assert run(["-c", str(config), "doctor"]) == 2

    shown = capsys.readouterr().out
    assert shown.count("No trail logs changes of SSM documents") == 1
    assert "and 2 more" in shown
    assert " findings, 0 not checked, " in shown


def _without_bucket(config: Path) -> None:
    """Name a state bucket that does not exist."""
    text = config.read_text()
    config.write_text(text.replace("organization:", "organization:\n  state: {bucket: no-such-bucket}", 1))


def test_a_region_that_is_not_enabled(doctor: Doctor, config: Path) -> None:
    text = config.read_text()
    config.write_text(text.replace(f"regions: [{REGION}]", f"regions: [{REGION}, me-south-1]"))

    found = [check for check in doctor("--account", "Member")[1] if check["region"] == "me-south-1"]

    assert [(check["name"], check["verdict"]) for check in found] == [("region", "finding")]
    assert "exclude the region" in found[0]["fix"]
    listed = doctor("--account", "Member", "--exclude", "region=me-south-1")[1]
    assert not [check for check in listed if check["region"] == "me-south-1"]


def test_a_missing_bucket_and_wrong_settings(doctor: Doctor, config: Path) -> None:
    right = config.read_text()
    _without_bucket(config)
    code, checks = doctor("--account", "Member")
    assert code == 2
    assert "The state bucket no-such-bucket does not exist" in verdict(checks, "state_bucket", None)["message"]

    config.write_text(right + "nonsense: true\n")
    code, checks = doctor()
    assert code == 64
    assert "nonsense" in verdict(checks, "organization", None)["message"]
    assert verdict(checks, "terraform", None)["verdict"] == "ok"


def test_without_credentials_the_machine_is_checked_all_the_same(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)

    code, checks = doctor()

    assert code == 1
    assert "set AWS_PROFILE or sign in" in verdict(checks, "organization", None)["message"]
    assert verdict(checks, "terraform", None)["verdict"] == "ok"


def test_a_plan_names_all_that_is_missing_before_anything_starts(
    sandbox: Sandbox, config: Path, tmp_path: Path
) -> None:
    _without_bucket(config)
    temporary = tmp_path / ("long" * 30)
    temporary.mkdir()
    # Everything but terraform.
    programs = tmp_path / "bin"
    programs.mkdir()
    environment = {"PATH": str(programs), "HOME": str(tmp_path), "TMPDIR": str(temporary), **sandbox.environment()}

    done = run_command(["-c", str(config), "plan", "--account", "Member"], tmp_path, environment)

    assert done.code == 64
    assert "no terraform is on the PATH" in done.plain
    assert f"TMPDIR: The path {temporary} has " in done.plain
    assert "The state bucket no-such-bucket does not exist" in done.plain
    assert not list(tmp_path.glob("runs/2*"))


def test_a_plan_needs_nothing_but_path_and_home(sandbox: Sandbox, config: Path, tmp_path: Path) -> None:
    """In an empty home folder, with credentials of the emulator, and with the provider of this machine."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **sandbox.environment()}

    done = run_command(["-c", str(config), "plan", "--account", "Second"], tmp_path, environment)

    assert done.code == 2, done.output
    assert done.summary["targets"][0]["status"] == "changes"


# --- What the emulator has no state for --------------------------------------------------------------------------

MANAGEMENT_EVENTS = {"Field": "eventCategory", "Equals": ["Management"]}


def _advanced(*fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"AdvancedEventSelectors": [{"FieldSelectors": list(fields)}]}


@pytest.mark.parametrize(
    ("selectors", "logs"),
    [
        ({}, True),
        ({"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "WriteOnly"}]}, True),
        ({"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "ReadOnly"}]}, False),
        ({"EventSelectors": [{"IncludeManagementEvents": False, "ReadWriteType": "All"}]}, False),
        (_advanced(MANAGEMENT_EVENTS), True),
        (_advanced({"Field": "eventCategory", "Equals": ["Data"]}), False),
        (_advanced(MANAGEMENT_EVENTS, {"Field": "readOnly", "Equals": ["true"]}), False),
        (_advanced(MANAGEMENT_EVENTS, {"Field": "eventSource", "NotEquals": ["ssm.amazonaws.com"]}), False),
    ],
)
def test_what_the_selectors_of_a_trail_include(selectors: Mapping[str, Any], logs: bool) -> None:
    assert logs_changes(selectors) == logs


@pytest.mark.parametrize(
    ("status", "found"),
    [("opted-in", "ok"), ("opt-in-not-required", "ok"), ("not-opted-in", "finding"), ("", "finding")],
)
def test_regions_that_must_be_enabled(status: str, found: str) -> None:
    check = judge_region("me-south-1", status)

    assert check.verdict == found
    assert ("aws account enable-region --region-name me-south-1" in check.fix) == (status == "not-opted-in")


# --- The policies that `init` writes, enforced -----------------------------------------------------------------------

# One policy in the member account is enough to plan and apply with the real provider.
ONE_POLICY = """\
defaults:
  preferences: {enabled: false}
  config_rule: {enabled: false}
"""


@pytest.fixture
def with_policy(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[[str], dict[str, str]]]:
    """Return credentials in the management account of a role that has only one of the policies that `init` writes."""
    admin = {**os.environ, **sandbox.environment()}
    made = run_command(
        ["init", "--region", REGION, "--policies", "policies", "--output", "first.yaml"], tmp_path, admin
    )
    assert made.code == 0, made.output
    session = sandbox.session(MANAGEMENT, REGION)
    iam = session.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": MANAGEMENT}, "Action": "sts:AssumeRole"}
    names: list[str] = []

    def credentials(name: str) -> dict[str, str]:
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        names.append(name)
        policy = (tmp_path / "policies" / f"{name}.json").read_text()
        iam.put_role_policy(RoleName=name, PolicyName="init", PolicyDocument=policy)
        given = session.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
        return {
            **admin,
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    yield credentials
    for name in names:
        iam.delete_role_policy(RoleName=name, PolicyName="init")
        iam.delete_role(RoleName=name)


@pytest.mark.terraform
def test_the_policies_of_init_suffice_to_plan_apply_and_read_states_and_for_no_more(
    sandbox: Sandbox, with_policy: Callable[[str], dict[str, str]], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(config.read_text() + ONE_POLICY)
    target = ["--account", "Second"]

    def rollout(environment: dict[str, str], *arguments: str) -> Any:  # noqa: ANN401
        return run_command(["-c", str(config), *arguments], config.parent, environment)

    planner, applier, reader, states = (with_policy(name) for name in ("plan", "apply", "read-states", "states"))
    planned = rollout(planner, "plan", *target)
    assert planned.code == 2, planned.output
    applied = rollout(applier, "apply", planned.summary["run_id"])
    assert applied.code == 0, applied.output

    backend = StateBackend(sandbox.state_bucket, REGION, "session-manager")

    def use(environment: dict[str, str]) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name, raising=False)
            if name in environment:
                monkeypatch.setenv(name, environment[name])

    key = f"session-manager/{REGION}/740281937466/terraform.tfstate"
    use(reader)
    state = backend.client().get_object(Bucket=backend.bucket, Key=key)["Body"].read()
    assert b"aws_iam_policy" in state
    with pytest.raises(ClientError, match="AccessDenied"):
        backend.client().put_object(Bucket=backend.bucket, Key=key, Body=state)

    use(planner)
    with pytest.raises(AccessError, match="AccessDenied"):
        store_retry_token(backend, "740281937466/eu-west-1", 1, "changed")
    for environment in (applier, states):
        use(environment)
        store_retry_token(backend, "740281937466/eu-west-1", 1, "changed")
        mark_apply(backend, "740281937466/eu-west-1")
        assert read_revisions(backend) == ({"740281937466/eu-west-1": 1}, {"740281937466/eu-west-1"})
        unmark_apply(backend, "740281937466/eu-west-1")
        assert read_revisions(backend)[1] == set()
