"""One step of one target: what is refused before terraform runs, what is read back after it, and every way to fail."""

import datetime
import errno
import json
import os
import pickle
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.aws import new_session
from session_manager_fleet.errors import AccessError, FleetError, InputError, TerraformError
from session_manager_fleet.preferences import (
    ORIGINAL_PARAMETER,
    DocumentChange,
    VerificationError,
    expected_preferences,
)
from session_manager_fleet.preferences.live import WantedPreferences
from session_manager_fleet.run import job as work
from session_manager_fleet.run.attachments import Attachment
from session_manager_fleet.run.executors import remote
from session_manager_fleet.run.executors.base import Site
from session_manager_fleet.run.failures import failed
from session_manager_fleet.run.job import PLANNED_AGAIN, perform
from session_manager_fleet.run.job_description import Job, JobSettings
from session_manager_fleet.run.options import RunOptions
from session_manager_fleet.run.results import Failure, Status, Step, TargetResult
from session_manager_fleet.run.retry import is_transient
from session_manager_fleet.run.reviewed_plan import ReviewedPlan
from session_manager_fleet.run.saved_plan import SavedPlanError, Toolchain
from session_manager_fleet.settings import AccountRole, Roles, TargetSettings
from session_manager_fleet.targets import Target, account_session, values_of
from session_manager_fleet.terraform.adoptions import Adoption, read_adoptions
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.command import Terraform
from session_manager_fleet.terraform.output import StalePlanError, StateLockedError, StoppedError
from session_manager_fleet.terraform.retry_tokens import read_retry_tokens, read_revisions, store_retry_token
from session_manager_fleet.terraform.root_module import RootModule
from session_preferences.applied_settings import PARAMETER, AppliedSettings, encode
from session_preferences.document import build, render
from session_preferences.request import parse_event
from tests.saved_plans import save_plan

HOME = "eu-west-1"
TARGET = Target(Account("111122223333", "Payments", ou="Workloads/Prod"), HOME, HOME)
BUCKET = "session-manager-state-123456789012"
EXTERNAL_ID = "external-canary"
SETTINGS = JobSettings(
    tools=Toolchain("1.11.4", "5.100.0", "0.1.0", "0" * 64),
    roles=Roles(AccountRole(name="Deployment", external_id=EXTERNAL_ID)),
    backend=StateBackend(BUCKET, "us-east-1", "session-manager"),
)
STATES = f"s3://{BUCKET}/session-manager in us-east-1"
DOCUMENT = "SSM-SessionManagerRunShell"
VARIABLES = """account_id = "111122223333"
names = {
  log_group = "own-logs"
}
preferences = {
  cloudwatch = {
    encryption_enabled = false
  }
  session_key = {
    enabled = false
  }
}
"""
RENDERED = values_of(VARIABLES)
VALUES = TargetSettings.model_validate({name: RENDERED[name] for name in ("names", "preferences")})
WANTED = expected_preferences(TARGET, VALUES, None)
PREFERENCES = WANTED["preferences"]
INVOCATION = {
    "mode": "managed",
    "type": "aws_lambda_invocation",
    "address": "module.preferences[0].aws_lambda_invocation.this",
    "change": {"actions": ["create"], "before": None, "after": {"input": "{}"}},
}
KEY = {
    "mode": "managed",
    "type": "aws_kms_key",
    "address": "module.preferences[0].aws_kms_key.logs[0]",
    "change": {"actions": ["delete"], "before": {"description": "Logs"}, "after": None},
}
PLAN = {
    "variables": {name: {"value": value} for name, value in RENDERED.items()},
    "resource_changes": [INVOCATION],
    "output_changes": {"preferences": {"actions": ["create"], "after": WANTED, "after_unknown": False}},
}


def job(step: Step, **changes: Any) -> Job:  # noqa: ANN401 - whatever a job has
    return Job(step, TARGET, VARIABLES, SETTINGS, **changes)


def diagnostic(summary: str, detail: str = "", address: str = "") -> str:
    content = {"severity": "error", "summary": summary, "detail": detail, "address": address}
    return json.dumps({"type": "diagnostic", "diagnostic": content})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir(mode=0o700)
    return folder


Make = Callable[..., Terraform]


@pytest.fixture
def make(aws: None, stand_in: Callable[[str], Path], tmp_path: Path) -> Make:  # noqa: ARG001 - for what reads back
    """Return a Terraform whose plan, show and apply answer as told; what is run is noted in `trace`."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "main.tf").write_text("# root\n")
    save_plan(tmp_path / "saved.zip", root)
    # Where the preferences send logs.
    make_log_group("own-logs")

    def make(
        *,
        plan: Mapping[str, Any] | None = PLAN,
        code: int = 2,
        apply: str = "exit 0",
        plan_does: str = ":",
    ) -> Terraform:
        (tmp_path / "show.json").write_text(json.dumps(plan))
        binary = stand_in(f"""
            echo "$1" >>'{tmp_path}/trace'
            for argument; do case $argument in -out=*) cp '{tmp_path}/saved.zip' "${{argument#-out=}}";; esac; done
            case $1 in
            plan) {plan_does}; exit {code};;
            show) cat '{tmp_path}/show.json';;
            apply) {apply};;
            esac
            """)
        environment = {"PATH": os.environ["PATH"]}
        return Terraform(
            binary=str(binary), root=RootModule(root), data_folder=tmp_path / "data", environment=environment
        )

    return make


@pytest.fixture
def trace(tmp_path: Path) -> Callable[[], list[str]]:
    """What terraform was asked to do."""
    path = tmp_path / "trace"
    return lambda: path.read_text().split() if path.exists() else []


@pytest.fixture
def aws(credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001 - in the environment
    """An emulated account with the bucket of the states; nobody waits."""
    monkeypatch.setattr("session_preferences.aws.Budget.pause", lambda *_: None)
    with mock_aws():
        new_session("us-east-1").client("s3").create_bucket(Bucket=BUCKET)
        yield


def write_document(**changes: object) -> None:
    text = render(build({**PREFERENCES, **changes}))
    ssm = account_session(TARGET.account, HOME, HOME, SETTINGS.roles.deployment).client("ssm")
    ssm.create_document(Name=DOCUMENT, Content=text, DocumentType="Session", DocumentFormat="JSON")


def retry_tokens() -> dict[str, int]:
    return read_retry_tokens(SETTINGS.backend)


def planned(make: Make, folder: Path, **answers: Any) -> TargetResult:  # noqa: ANN401 - see make
    result = perform(job(Step.PLAN), folder, make(**answers))
    assert result.status is Status.CHANGES, result.failure
    return result


# --- Plan --------------------------------------------------------------------------------------------------------


def test_a_job_can_be_sent_to_another_process() -> None:
    whole = job(Step.APPLY, reviewed=ReviewedPlan("0" * 64), retry_token=3)

    assert pickle.loads(pickle.dumps(whole)) == whole  # noqa: S301 - made right here


def test_a_plan_with_changes_is_sealed(make: Make, folder: Path) -> None:
    result = planned(make, folder)

    assert len(result.plan_sha256 or "") == 64
    assert result.change_set is not None
    assert [change.action for change in result.change_set.changes] == ["create"]
    names = {path.name for path in folder.iterdir()}
    assert names == {*("tfplan", "plan.json", "terraform.tfvars", "terraform.lock.hcl", "bundle.json", "terraform.log")}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_plan_without_changes_costs_one_process(make: Make, folder: Path, trace: Callable[[], list[str]]) -> None:
    result = perform(job(Step.PLAN), folder, make(code=0))

    assert (result.status, result.plan_sha256, result.verified) == (Status.NO_CHANGES, None, None)
    assert trace() == ["plan"]


def test_a_plan_tells_what_an_existing_document_would_lose(make: Make, folder: Path) -> None:
    write_document(s3BucketName="team-logs")

    assert planned(make, folder).preview == (DocumentChange("inputs.s3BucketName", "team-logs", ""),)


def test_a_plan_that_does_not_write_the_document_does_not_look_at_it(make: Make, folder: Path) -> None:
    write_document(s3BucketName="team-logs")

    assert planned(make, folder, plan={**PLAN, "resource_changes": []}).preview == ()


def test_a_plan_to_destroy_tells_what_becomes_of_the_document(make: Make, folder: Path) -> None:
    told = {"before": {"input": json.dumps({**WANTED, "on_destroy": "reset"})}, "after": None, "actions": ["delete"]}
    terraform = make(plan={"resource_changes": [{**INVOCATION, "change": told}]})

    result = perform(job(Step.PLAN, destroy=True), folder, terraform)

    (preview,) = result.preview
    assert (preview.path, preview.before) == (DOCUMENT, "managed")
    assert "on_destroy = reset" in str(preview.after)


def test_a_plan_that_ends_the_management_tells_what_becomes_of_the_document(make: Make, folder: Path) -> None:
    """As `preferences: {enabled: false}` does, without a destroy."""
    told = {"before": {"input": json.dumps({**WANTED, "on_destroy": "retain"})}, "after": None, "actions": ["delete"]}

    (preview,) = planned(make, folder, plan={**PLAN, "resource_changes": [{**INVOCATION, "change": told}]}).preview

    assert (preview.path, preview.after) == (DOCUMENT, "as it is (on_destroy = retain)")


def test_a_document_that_cannot_be_read_fails_the_plan(
    make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AccessError("Cannot assume the role: AccessDenied.")

    monkeypatch.setattr(work, "account_session", refuse)
    result = perform(job(Step.PLAN), folder, make())

    assert result.failure is not None
    assert (result.status, result.failure.kind) == (Status.FAILED, "access")


# --- What exists already -----------------------------------------------------------------------------------------

GROUP = {
    "mode": "managed",
    "type": "aws_cloudwatch_log_group",
    "address": "module.preferences[0].aws_cloudwatch_log_group.sessions[0]",
    "change": {"actions": ["create"], "before": None, "after": {"name": "logs"}},
}
CREATION = {**PLAN, "resource_changes": [INVOCATION, GROUP]}
ADOPTED = (Adoption("log_group", "logs", "", 0),)


def make_log_group(name: str = "logs") -> None:
    logs = account_session(TARGET.account, HOME, HOME, SETTINGS.roles.deployment).client("logs")
    logs.create_log_group(logGroupName=name)


def test_what_exists_is_refused_with_the_commands_that_import_it(make: Make, folder: Path) -> None:
    assert planned(make, folder, plan=CREATION).adopted == ()
    make_log_group()

    result = perform(job(Step.PLAN), folder, make(plan=CREATION))

    assert result.failure is not None
    assert (result.status, result.failure.kind) == (Status.FAILED, "input")
    assert "log group logs (kept forever) exists already" in result.failure.message
    *_, command = result.failure.diagnostics
    assert command.startswith(f"TF_WORKSPACE={TARGET.workspace} terraform import -var-file={folder}/terraform.tfvars ")
    assert command.endswith("'module.preferences[0].aws_cloudwatch_log_group.sessions[0]' logs")


def test_what_may_be_adopted_is_planned_again(make: Make, folder: Path) -> None:
    make_log_group()

    result = perform(job(Step.PLAN, adoptable=("log_group",)), folder, make(plan=CREATION))

    assert (result.status, result.reason, result.adopted) == (Status.NOT_STARTED, PLANNED_AGAIN, ADOPTED)


def test_what_is_adopted_no_longer_is_planned_again_without(
    make: Make, folder: Path, trace: Callable[[], list[str]]
) -> None:
    result = perform(job(Step.PLAN, adopted=ADOPTED), folder, make())

    assert (result.reason, result.adopted, trace()) == (PLANNED_AGAIN, (), [])


def test_what_is_adopted_is_remembered_by_the_apply_and_forgotten_by_the_destruction(make: Make, folder: Path) -> None:
    make_log_group()
    adopting = job(Step.PLAN, adopted=ADOPTED)
    result = perform(adopting, folder, make())
    assert (result.status, result.adopted) == (Status.CHANGES, ADOPTED), result.failure
    assert read_adoptions(SETTINGS.backend) == {}

    write_document()
    applying = replace(adopting, step=Step.APPLY, reviewed=ReviewedPlan.of(result))
    assert perform(applying, folder, make()).status is Status.APPLIED
    assert read_adoptions(SETTINGS.backend) == {TARGET.key: ADOPTED}

    assert perform(replace(applying, destroy=True, remembered=ADOPTED), folder, make()).status is Status.APPLIED
    assert read_adoptions(SETTINGS.backend) == {}


def test_a_plan_without_changes_remembers_what_it_adopts(make: Make, folder: Path) -> None:
    make_log_group()

    result = perform(job(Step.PLAN, adopted=ADOPTED), folder, make(code=0))

    assert (result.status, result.adopted) == (Status.NO_CHANGES, ADOPTED)
    assert read_adoptions(SETTINGS.backend) == {TARGET.key: ADOPTED}


def test_an_adopted_log_group_without_a_key_is_refused_where_it_has_to_be_encrypted(make: Make, folder: Path) -> None:
    make_log_group()
    wanted = {**WANTED, "preferences": {**PREFERENCES, "cloudWatchEncryptionEnabled": True}}
    output = {"actions": ["create"], "after": wanted, "after_unknown": False}

    result = perform(
        job(Step.PLAN, adopted=ADOPTED), folder, make(plan={**PLAN, "output_changes": {"preferences": output}})
    )

    assert result.failure is not None
    assert "own-logs has no KMS key" in result.failure.message
    assert "aws logs associate-kms-key --log-group-name own-logs --kms-key-id KEY_ARN" in result.failure.message
    assert "preferences.cloudwatch.existing_key: change" in result.failure.message


# --- Attachments -------------------------------------------------------------------------------------------------

ATTACHED = (Attachment("arn:aws:iam::111122223333:policy/Sessions", "role", "WebServer"),)
REMOVAL = {
    "variables": PLAN["variables"],
    "resource_changes": [
        {
            "mode": "managed",
            "type": "aws_iam_policy",
            "address": "module.instance_policy[0].aws_iam_policy.this",
            "change": {"actions": ["delete"], "before": {"arn": ATTACHED[0].policy_arn}, "after": None},
        }
    ],
}


def test_what_a_policy_is_attached_to_is_listed_detached_and_needs_consent(
    make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attached, done = list(ATTACHED), []
    monkeypatch.setattr(work, "find_attachments", lambda *_: tuple(attached))
    monkeypatch.setattr(work, "detach", lambda _, attachments: done.extend(attachments))
    write_document()
    result = planned(make, folder, plan=REMOVAL)
    assert result.attachments == ATTACHED
    consent = replace(SETTINGS, options=RunOptions(allow_destroy=True))
    applying = job(Step.APPLY, reviewed=ReviewedPlan.of(result), attachments=ATTACHED)

    for step in (Step.DETACH, Step.APPLY):
        refused = perform(replace(applying, step=step), folder, make())
        assert refused.failure is not None
        assert "would detach the policy Sessions from role WebServer" in refused.failure.message
    assert done == []

    detached = perform(replace(applying, step=Step.DETACH, settings=consent), folder, make(plan=REMOVAL))
    assert (detached.status, detached.step, detached.detached) == (Status.UNFINISHED, Step.DETACH, ATTACHED)
    assert tuple(done) == ATTACHED
    assert perform(replace(applying, settings=consent), folder, make(plan=REMOVAL)).status is Status.APPLIED

    attached.append(replace(ATTACHED[0], name="Late"))
    late = perform(replace(applying, settings=consent), folder, make(plan=REMOVAL))
    assert late.failure is not None
    assert "was attached to role Late after the plan was made" in late.failure.message


# --- Apply -------------------------------------------------------------------------------------------------------


def test_what_was_applied_is_read_back(make: Make, folder: Path) -> None:
    reviewed = ReviewedPlan.of(planned(make, folder))
    write_document()

    result = perform(job(Step.APPLY, reviewed=reviewed), folder, make())

    assert (result.status, result.verified, result.failure) == (Status.APPLIED, True, None)
    assert read_revisions(SETTINGS.backend) == ({}, set())


def test_where_no_preferences_are_managed_nobody_looks(make: Make, folder: Path) -> None:
    variables = VARIABLES.replace("preferences = {\n", "preferences = {\n  enabled = false\n")
    terraform = make(plan={**PLAN, "variables": {n: {"value": v} for n, v in values_of(variables).items()}})
    reviewed = ReviewedPlan.of(perform(replace(job(Step.PLAN), variables=variables), folder, terraform))

    result = perform(replace(job(Step.APPLY, reviewed=reviewed), variables=variables), folder, terraform)

    assert (result.status, result.verified) == (Status.APPLIED, None)


def test_a_document_that_was_changed_after_the_apply_is_a_failed_verification(make: Make, folder: Path) -> None:
    reviewed = ReviewedPlan.of(planned(make, folder))
    write_document(idleSessionTimeout=60)

    result = perform(
        job(Step.APPLY, reviewed=reviewed, retry_token=4),
        folder,
        make(),
    )

    assert (result.status, result.verified) == (Status.FAILED, False)
    assert result.failure is not None
    assert result.failure.kind == "verification"
    assert result.failure.diagnostics == (
        'inputs.idleSessionTimeout ("60" to "20")',
        "The next plan writes the preferences again.",
    )
    assert retry_tokens() == {TARGET.key: 5}


def test_a_retry_token_that_cannot_be_stored_is_never_followed_by_no_changes(
    make: Make, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terraform finds no changes after the failed update; any machine's plan reads the document then."""
    reviewed = ReviewedPlan.of(planned(make, folder))
    write_document(idleSessionTimeout=60)
    elsewhere = tmp_path / "another machine"
    elsewhere.mkdir()

    def plan() -> TargetResult:
        tokens, applying = read_revisions(SETTINGS.backend)
        token = tokens.get(TARGET.key, 0)
        planning = job(Step.PLAN, retry_token=token, verify=TARGET.key in applying)
        return perform(planning, elsewhere, make(code=0))

    def refuse(*_: object) -> None:
        raise AccessError("Cannot store it: AccessDenied.")

    with monkeypatch.context() as context:
        context.setattr(work, "store_retry_token", refuse)
        applied = perform(job(Step.APPLY, reviewed=reviewed), folder, make())
        results = [applied, plan(), plan()]
    for result in results:
        assert result.failure is not None
        assert (result.status, result.failure.kind) == (Status.FAILED, "verification")
        assert result.failure.diagnostics[-1].startswith("The retry token cannot be stored: allow it.")
        assert "AccessDenied" in result.failure.diagnostics[-1]

    # Once it may be stored, the plan of a resumed run does so, and the next one calls the function.
    failure = plan().failure
    assert failure is not None
    assert failure.diagnostics[-1] == "The next plan writes the preferences again."
    assert retry_tokens() == {TARGET.key: 1}
    account_session(TARGET.account, HOME, HOME, SETTINGS.roles.deployment).client("ssm").delete_document(Name=DOCUMENT)
    write_document()
    assert plan().status is Status.NO_CHANGES
    assert read_revisions(SETTINGS.backend) == ({TARGET.key: 1}, set())


def test_an_apply_that_cannot_leave_its_mark_changes_nothing(
    make: Make, folder: Path, trace: Callable[[], list[str]]
) -> None:
    reviewed = ReviewedPlan.of(planned(make, folder))
    new_session("us-east-1").client("s3").delete_bucket(Bucket=BUCKET)

    result = perform(job(Step.APPLY, reviewed=reviewed), folder, make())

    assert result.failure is not None
    assert (result.failure.kind, "apply" in trace()) == ("access", False)
    assert "/applying in the state bucket" in result.failure.message


@pytest.mark.parametrize(
    ("answer", "stored"),
    [
        (diagnostic("invoking Lambda Function", address="module.preferences[0].aws_lambda_invocation.this"), True),
        (diagnostic("creating log group", address="module.preferences[0].aws_cloudwatch_log_group.sessions[0]"), False),
        (None, True),
    ],
    ids=["the call failed", "something else failed", "killed"],
)
def test_a_call_that_may_have_failed_is_made_again(make: Make, folder: Path, answer: str | None, stored: bool) -> None:
    reviewed = ReviewedPlan.of(planned(make, folder))
    end = f"echo '{answer}'; exit 1" if answer else "kill -9 $$"

    result = perform(job(Step.APPLY, reviewed=reviewed), folder, make(apply=end))

    assert result.failure is not None
    assert (result.status, result.failure.kind) == (Status.FAILED, "terraform")
    assert retry_tokens() == ({TARGET.key: 1} if stored else {})


def test_a_key_that_can_be_rescued_is_replaced_only_with_allow_destroy(make: Make, folder: Path) -> None:
    kms = account_session(TARGET.account, HOME, HOME, SETTINGS.roles.deployment).client("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    gone = {**KEY, "change": {"actions": ["delete"], "before": {"arn": key["Arn"]}, "after": None}}
    new = {**KEY, "change": {"actions": ["create"], "before": None, "after": {"description": "Logs"}}}
    terraform = make(plan={**PLAN, "resource_changes": [INVOCATION, new], "resource_drift": [gone]})

    result = perform(job(Step.PLAN), folder, terraform)

    assert result.status is Status.CHANGES
    assert any("aws kms cancel-key-deletion --region eu-west-1 --key-id " in note for note in result.notes)
    refused = perform(job(Step.APPLY, reviewed=ReviewedPlan.of(result)), folder, terraform)
    assert refused.failure is not None
    assert f"The plan would delete or replace {KEY['address']}" in refused.failure.message
    assert "--allow-destroy" in refused.failure.message


def test_a_failed_destruction_needs_no_retry_token(make: Make, folder: Path) -> None:
    terraform = make(apply=f"echo '{diagnostic('failed', address=str(INVOCATION['address']))}'; exit 1")
    reviewed = ReviewedPlan.of(perform(job(Step.PLAN, destroy=True), folder, terraform))

    result = perform(job(Step.APPLY, reviewed=reviewed, destroy=True), folder, terraform)

    assert result.status is Status.FAILED
    assert retry_tokens() == {}


def test_a_plan_without_changes_is_verified_where_nobody_saw_the_end_of_the_apply(make: Make, folder: Path) -> None:
    terraform = make(code=0)
    write_document()
    assert perform(job(Step.PLAN, verify=True), folder, terraform).verified is True

    ssm = account_session(TARGET.account, HOME, HOME, SETTINGS.roles.deployment).client("ssm")
    ssm.modify_document_permission(Name=DOCUMENT, PermissionType="Share", AccountIdsToAdd=["999999999999"])
    result = perform(job(Step.PLAN, verify=True), folder, terraform)

    assert (result.status, result.verified) == (Status.FAILED, False)
    assert retry_tokens() == {TARGET.key: 1}


# --- What Terraform cannot see -----------------------------------------------------------------------------------

LIVE = WantedPreferences(WANTED, "", HOME)


def store_settings(**changes: object) -> None:
    """Store the settings, as the function does."""
    event = {**WANTED, "preferences": {**PREFERENCES, **changes}, "tf": {"action": "create"}}
    ssm = account_session(TARGET.account, HOME, HOME, SETTINGS.roles.deployment).client("ssm")
    ssm.put_parameter(Name=PARAMETER, Value=encode(AppliedSettings.of(parse_event(event), None)), Type="String")
    ssm.put_parameter(Name=ORIGINAL_PARAMETER, Value="{}", Type="String")


@pytest.mark.parametrize(
    ("document", "settings", "missing"),
    [
        pytest.param({"idleSessionTimeout": 60}, {}, "", id="document"),
        pytest.param({}, {"idleSessionTimeout": 60}, "", id="stored settings"),
        pytest.param({}, {}, PARAMETER, id="no stored settings"),
        pytest.param({}, {}, ORIGINAL_PARAMETER, id="no record of the original document"),
        pytest.param(None, {}, "", id="no document"),
    ],
)
def test_a_live_difference_makes_a_plan_a_change_with_a_new_retry_token(
    make: Make, folder: Path, document: dict[str, Any] | None, settings: dict[str, Any], missing: str
) -> None:
    if document is not None:
        write_document(**document)
    store_settings(**settings)
    if missing:
        account_session(TARGET.account, HOME, HOME, SETTINGS.roles.deployment).client("ssm").delete_parameter(
            Name=missing
        )
    looking = job(Step.PLAN, wanted=LIVE, stored_token=2, retry_token=2)

    result = perform(looking, folder, make(code=0))
    assert (result.status, result.reason, result.retry_token) == (Status.NOT_STARTED, PLANNED_AGAIN, 3)

    again = replace(looking, retry_token=3)
    result = perform(again, folder, make())
    assert (result.status, result.retry_token, retry_tokens()) == (Status.CHANGES, 3, {})

    ssm = account_session(TARGET.account, HOME, HOME, SETTINGS.roles.deployment).client("ssm")
    if document is not None:
        ssm.delete_document(Name=DOCUMENT)
    write_document()  # as the function does
    result = perform(replace(again, step=Step.APPLY, reviewed=ReviewedPlan.of(result)), folder, make())
    assert (result.status, result.retry_token, retry_tokens()) == (Status.APPLIED, 0, {TARGET.key: 3})


def test_a_plan_with_other_changes_looks_at_the_live_document_too(make: Make, folder: Path) -> None:
    write_document(idleSessionTimeout=60)
    store_settings()

    result = perform(job(Step.PLAN, wanted=LIVE), folder, make(plan={**PLAN, "resource_changes": []}))

    assert (result.reason, result.retry_token) == (PLANNED_AGAIN, 1)


def test_a_live_document_as_wanted_is_no_change(make: Make, folder: Path, trace: Callable[[], list[str]]) -> None:
    write_document()
    store_settings()

    result = perform(job(Step.PLAN, wanted=LIVE), folder, make(code=0))

    assert (result.status, result.retry_token, result.notes, trace()) == (Status.NO_CHANGES, 0, (), ["plan"])


def test_a_live_document_that_cannot_be_read_is_a_note(
    make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AccessError("AccessDenied.")

    monkeypatch.setattr(work, "account_session", refuse)

    result = perform(job(Step.PLAN, wanted=LIVE), folder, make(code=0))

    assert result.notes == ("The live document was not compared: AccessDenied.",)


@pytest.mark.parametrize("code", [0, 2])
def test_what_is_changed_outside_and_not_put_back_is_a_note(make: Make, folder: Path, code: int) -> None:
    address = "module.preferences[0].aws_sqs_queue.failures"
    before, found = {"url": "a", "delay": 0, "tags_all": {}}, {"url": "a", "delay": 9, "tags_all": {"x": "y"}}
    entry = {"mode": "managed", "type": "aws_sqs_queue", "address": address}
    drift = {**entry, "change": {"actions": ["update"], "before": before, "after": found}}
    kept = {**entry, "change": {"actions": ["no-op"], "before": found, "after": found}}
    said = json.dumps({"type": "resource_drift", "change": {"resource": {"resource_type": "aws_sqs_queue"}}})
    plan = {**PLAN, "resource_changes": [INVOCATION, kept], "resource_drift": [drift]}

    result = perform(job(Step.PLAN), folder, make(plan=plan, code=code, plan_does=f"echo '{said}'"))

    assert result.notes == (f"Changed outside of Terraform, and not put back by this plan: {address} (delay).",)


# --- What is refused before anything is touched ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            {"variables": {"account_id": {"value": "444455556666"}}},
            "other variables than the settings render: account",
        ),
        ({"variables": {}}, "other variables than the settings render: account"),
        ({"resource_changes": [KEY]}, "makes other changes"),
        ({"relevant_attributes": ["other"]}, "is not the one that"),
    ],
)
def test_a_plan_that_was_replaced_with_its_digests_is_refused(
    make: Make, folder: Path, trace: Callable[[], list[str]], other: Mapping[str, Any], words: str
) -> None:
    reviewed = ReviewedPlan.of(planned(make, folder))

    result = perform(job(Step.APPLY, reviewed=reviewed), folder, make(plan={**PLAN, **other}))

    assert result.failure is not None
    assert words in result.failure.message
    assert "apply" not in trace()


def test_a_plan_with_another_configuration_is_refused(
    make: Make, folder: Path, tmp_path: Path, trace: Callable[[], list[str]]
) -> None:
    """A provisioner is no change of a plan, and runs as the caller."""
    terraform = make()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "main.tf").write_text("# root\n# with a provisioner\n")
    save_plan(tmp_path / "saved.zip", tmp_path / "other")
    reviewed = ReviewedPlan.of(perform(job(Step.PLAN), folder, terraform))

    result = perform(job(Step.APPLY, reviewed=reviewed), folder, terraform)

    assert result.failure is not None
    assert result.failure.message.startswith("The saved plan holds another configuration than the root module: m-/main")
    assert "apply" not in trace()


def test_the_document_is_compared_with_the_settings_whatever_the_plan_says(make: Make, folder: Path) -> None:
    other = {**WANTED, "preferences": {**PREFERENCES, "idleSessionTimeout": 30}}
    output = {"preferences": {"actions": ["create"], "after": other, "after_unknown": False}}
    reviewed = ReviewedPlan.of(planned(make, folder, plan={**PLAN, "output_changes": output}))
    write_document(idleSessionTimeout=30)

    result = perform(job(Step.APPLY, reviewed=reviewed), folder, make(plan={**PLAN, "output_changes": output}))

    assert result.failure is not None
    assert 'inputs.idleSessionTimeout ("30" to "20")' in result.failure.diagnostics


@pytest.mark.parametrize("name", ["tfplan", "plan.json", "terraform.tfvars", "terraform.lock.hcl", "bundle.json"])
def test_a_tampered_bundle_is_refused(make: Make, folder: Path, trace: Callable[[], list[str]], name: str) -> None:
    reviewed = ReviewedPlan.of(planned(make, folder))
    with (folder / name).open("a") as file:
        file.write(" ")

    result = perform(job(Step.APPLY, reviewed=reviewed), folder, make())

    assert result.failure is not None
    assert (result.status, result.failure.kind) == (Status.FAILED, "input")
    assert "Plan again" in result.failure.message
    assert trace() == ["plan", "show"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"variables": "other"}, "The settings have changed since the plan was made"),
        ({"settings": replace(SETTINGS, tools=replace(SETTINGS.tools, root_sha256="1" * 64))}, "The root module"),
        (
            {"settings": replace(SETTINGS, options=RunOptions(max_plan_age=datetime.timedelta(0)))},
            "(maximum 0 hours)",
        ),
        (
            {"target": replace(TARGET, account=Account("222233334444", "Other"))},
            "The account has changed",
        ),
        (
            {"settings": replace(SETTINGS, backend=replace(SETTINGS.backend, key_prefix="other"))},
            f"The state backend has changed since the plan was made ({STATES} then, s3://{BUCKET}/other",
        ),
        (
            {"settings": replace(SETTINGS, backend=replace(SETTINGS.backend, bucket="b"))},
            "s3://b/session-manager in us-east-1",
        ),
        (
            {"settings": replace(SETTINGS, backend=replace(SETTINGS.backend, region=HOME))},
            "session-manager in eu-west-1 now",
        ),
        (
            {"settings": replace(SETTINGS, backend=replace(SETTINGS.backend, kms_key_arn="k"))},
            "us-east-1, encrypted with k now",
        ),
    ],
)
def test_a_plan_that_does_not_fit_any_more_is_refused(
    make: Make, folder: Path, trace: Callable[[], list[str]], change: dict[str, Any], told: str
) -> None:
    reviewed = ReviewedPlan.of(planned(make, folder))

    result = perform(replace(job(Step.APPLY, reviewed=reviewed), **change), folder, make())

    assert result.failure is not None
    assert result.failure.kind == "input"
    assert told in result.failure.message
    assert "apply" not in trace()


def test_keys_are_destroyed_only_if_that_is_meant(make: Make, folder: Path, trace: Callable[[], list[str]]) -> None:
    reviewed = ReviewedPlan.of(planned(make, folder, plan={**PLAN, "resource_changes": [KEY]}))

    refused = perform(job(Step.APPLY, reviewed=reviewed), folder, make())
    assert refused.failure is not None
    assert "module.preferences[0].aws_kms_key.logs[0]" in refused.failure.message
    assert "apply" not in trace()

    write_document()
    meant = replace(
        job(Step.APPLY, reviewed=reviewed),
        settings=replace(SETTINGS, options=RunOptions(allow_destroy=True)),
    )
    assert perform(meant, folder, make(plan={**PLAN, "resource_changes": [KEY]})).status is Status.APPLIED


# --- A state that could not be saved ------------------------------------------------------------------------------

STATE_LOST = diagnostic("Failed to save state", "api error ExpiredToken: The provided token has expired.")
KEEP_STATE = f"echo state >errored.tfstate; echo '{STATE_LOST}'; exit 1"


@pytest.mark.parametrize("step", Step)
def test_a_state_that_could_not_be_saved_is_pushed_before_anything_else(
    make: Make, folder: Path, trace: Callable[[], list[str]], step: Step
) -> None:
    reviewed = ReviewedPlan.of(planned(make, folder))
    terraform = make(apply=KEEP_STATE)
    terraform.init({"bucket": "b", "workspace_key_prefix": "p/eu-west-1"}, folder / "init.log")
    initialize = "terraform init -reconfigure -backend-config=bucket=b -backend-config=workspace_key_prefix=p/eu-west-1"
    commands = (
        initialize,
        f"TF_WORKSPACE={TARGET.workspace} terraform state push {folder}/errored.tfstate",
        f"rm {folder}/errored.tfstate",
    )

    lost = perform(job(Step.APPLY, reviewed=reviewed), folder, terraform)

    assert lost.failure is not None
    # Expired credentials are the reason, and do not hide what became of the state.
    assert lost.failure.kind == "terraform"
    assert lost.failure.message.startswith(
        f"terraform apply failed. Log: {folder}/terraform.log. It could not save its state, which is kept in "
        f"{folder}/errored.tfstate. This file is the only record of what was created. Push it "
    )
    assert lost.failure.diagnostics[0].startswith("Failed to save state: api error ExpiredToken")
    assert lost.failure.diagnostics[-3:] == commands
    assert stat.S_IMODE((folder / "errored.tfstate").stat().st_mode) == 0o600
    assert not is_transient(lost)

    done = trace()
    refused = perform(job(step, reviewed=reviewed), folder, terraform)
    assert refused.failure is not None
    assert (refused.status, refused.step, refused.failure.kind) == (Status.FAILED, step, "input")
    assert refused.failure.message.startswith(
        f"An earlier apply could not save its state, which is kept in {folder}/errored.tfstate. This file is the only "
    )
    assert refused.failure.diagnostics == commands
    assert trace() == done

    (folder / "errored.tfstate").unlink()
    assert perform(job(Step.PLAN), folder, terraform).status is Status.CHANGES


def test_a_state_that_is_left_while_a_plan_waits_for_its_lock_fails_the_plan(make: Make, folder: Path) -> None:
    left = folder / "apply-of-a-killed-rollout"
    left.mkdir()

    result = perform(job(Step.PLAN), folder, make(plan_does=f"echo state >'{left}/errored.tfstate'"))

    assert result.failure is not None
    assert (result.status, result.failure.kind) == (Status.FAILED, "input")
    assert (folder / "errored.tfstate").read_text() == "state\n"


def test_a_state_travels_home_from_a_worker_and_the_next_worker_knows_of_it(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_place", remote._Place(folder=tmp_path))
    monkeypatch.setattr(remote, "_terraform", lambda *_: make(apply=KEEP_STATE))
    site, home = Site("", {}, 60.0), Path("/runs/1/111122223333/eu-west-1")

    planned = remote.perform_remotely(site, job(Step.PLAN), {}, home)
    apply = job(Step.APPLY, reviewed=ReviewedPlan.of(planned.result))
    lost = remote.perform_remotely(site, apply, planned.artifacts or {}, home)
    assert lost.artifacts is not None
    kept = lost.artifacts["errored.tfstate"]
    refused = remote.perform_remotely(site, job(Step.PLAN), {"errored.tfstate": kept}, home)

    assert kept == b"state\n"
    for performed, kind in ((lost, "terraform"), (refused, "input")):
        failure = performed.result.failure
        assert failure is not None
        assert failure.kind == kind
        assert f"is kept in {home}/errored.tfstate." in failure.message
        assert failure.diagnostics[-1] == f"rm {home}/errored.tfstate"
        assert str(tmp_path) not in f"{failure}"
    assert not list(tmp_path.glob("job-*"))


# --- Buckets of failures -----------------------------------------------------------------------------------------

LOCK = {"ID": "1", "Path": "p", "Operation": "OperationTypeApply", "Who": "me@here", "Created": "now"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AccessError("Cannot assume the role."), "access"),
        (TerraformError("failed", ["Cannot assume IAM Role (providers.tf:10): no"]), "access"),
        (TerraformError("failed", ["No valid credential sources found"]), "access"),
        (TerraformError("failed", ["operation error STS: AssumeRole, ExpiredToken: The security token"]), "access"),
        (TerraformError("failed", ["AWS account ID not allowed: 222233334444"]), "access"),
        (TerraformError("failed", ["Resource postcondition failed: The credentials are those of account 2"]), "access"),
        (TerraformError("failed", ["Plugin did not respond"]), "terraform"),
        (TerraformError("failed", ["ThrottlingException: Rate exceeded"]), "terraform"),
        (StoppedError("failed", ["terraform was ended by signal 9"]), "terraform"),
        (StateLockedError("locked by me@here", ["Error acquiring the state lock"], LOCK), "terraform"),
        (StalePlanError("The state has changed", ["Saved plan is stale"]), "input"),
        (SavedPlanError("The plan is 25 hours old"), "input"),
        (InputError("The settings are wrong"), "input"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/1/tfplan"), "machine"),
        (VerificationError("differs", ["inputs.kmsKeyId"]), "verification"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_failure_has_its_bucket(error: FleetError | OSError, kind: str) -> None:
    result = failed(TARGET, Step.APPLY, error, Path("runs/1"))

    assert result.failure is not None
    assert (result.status, result.failure.kind) == (Status.FAILED, kind)
    assert result.failure.diagnostics == getattr(error, "diagnostics", ())
    assert result.verified is (False if kind == "verification" else None)


def test_a_full_disk_is_told_with_its_folder(make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as write(2) says it

    monkeypatch.setattr(work, "write_private", full)
    result = perform(job(Step.PLAN), folder, make())

    assert result.failure == Failure(
        "machine",
        f"{folder} cannot be used (No space left on device). Fix this, then `resume` plans the target again.",
    )


def test_no_secret_is_in_a_result(make: Make, folder: Path) -> None:
    terraform = Terraform(
        binary=make(apply=f"echo '{diagnostic(f'cannot use {EXTERNAL_ID}')}'; exit 1")._command_line.terraform_bin_path,
        root=RootModule(folder.parent / "root"),
        data_folder=folder,
        environment={"PATH": os.environ["PATH"]},
        secrets=[EXTERNAL_ID],
    )
    write_document(shellProfile={"linux": "shell-canary"})
    result = perform(job(Step.PLAN), folder, terraform)
    applied = perform(job(Step.APPLY, reviewed=ReviewedPlan.of(result)), folder, terraform)

    assert applied.failure is not None
    told = f"{result}{applied}" + (folder / "terraform.log").read_text()
    assert "(hidden)" in told
    assert "canary" not in told


def test_the_last_retry_token_counts(make: Make, folder: Path) -> None:
    store_retry_token(SETTINGS.backend, TARGET.key, 1, "apply failed")
    reviewed = ReviewedPlan.of(planned(make, folder))

    perform(job(Step.APPLY, reviewed=reviewed, retry_token=1), folder, make(apply="kill -9 $$"))

    assert retry_tokens() == {TARGET.key: 2}


def set_up_recorder() -> None:
    config = account_session(TARGET.account, HOME, HOME, SETTINGS.roles.deployment).client("config")
    role = "arn:aws:iam::111122223333:role/config"
    config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role})


def test_without_a_recorder_the_config_rule_is_left_out(make: Make, folder: Path) -> None:
    may_lack = job(Step.PLAN, without_rule=f"{VARIABLES}# without\n")
    write_document()

    without = perform(may_lack, folder, make())

    assert (folder / "terraform.tfvars").read_text() == may_lack.without_rule
    (note,) = without.notes
    assert note.startswith(f"AWS Config has no recorder in {HOME}: the Config rule is left out")
    apply = replace(may_lack, step=Step.APPLY, reviewed=ReviewedPlan.of(without))
    assert perform(apply, folder, make()).status is Status.APPLIED

    set_up_recorder()

    assert perform(may_lack, folder, make()).notes == ()
    assert (folder / "terraform.tfvars").read_text() == may_lack.variables


def test_a_plan_that_aws_would_refuse_fails_before_it_is_sealed(make: Make, folder: Path) -> None:
    rule = {"mode": "managed", "type": "aws_config_config_rule", "address": "module.config_rule[0].x"}
    plan = {"resource_changes": [{**rule, "change": {"actions": ["create"], "before": None, "after": {"name": "r"}}}]}

    refused = perform(job(Step.PLAN), folder, make(plan=plan))

    assert refused.failure is not None
    assert (refused.failure.kind, refused.plan_sha256) == ("input", None)
    assert f"AWS Config has no recorder in {HOME}" in refused.failure.message
    set_up_recorder()
    assert perform(job(Step.PLAN), folder, make(plan=plan)).status is Status.CHANGES
