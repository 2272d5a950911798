"""Targets that are as in their last clean run: what is recorded and compared; every doubt makes terraform plan."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.aws import new_session
from session_manager_fleet.errors import AccessError
from session_manager_fleet.run.clean import why_no_candidate
from session_manager_fleet.run.job import perform
from session_manager_fleet.run.job_description import Job, JobSettings
from session_manager_fleet.run.results import Status, Step, TargetResult
from session_manager_fleet.run.saved_plan import Toolchain
from session_manager_fleet.settings import AccountRole, Roles
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import read_clean_mark
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.command import Terraform
from session_manager_fleet.terraform.root_module import RootModule

HOME, ACCOUNT = "eu-west-1", "123456789012"
TARGET = Target(Account(ACCOUNT, "Payments"), HOME, HOME)
BUCKET = "session-manager-state-123456789012"
BACKEND = StateBackend(BUCKET, HOME, "session-manager")
TOOLS = Toolchain("1.11.4", "5.100.0", "0.1.0", "0" * 64)
MARK = f"session-manager/clean/{ACCOUNT}/{HOME}"
STATE = BACKEND.state_key(TARGET)
ADDRESS = "module.preferences[0].aws_sqs_queue.failures[0]"


def job(**changes: Any) -> Job:  # noqa: ANN401 - whatever a job has
    return Job(
        Step.PLAN,
        TARGET,
        'account_id = "1"\n',
        JobSettings(TOOLS, Roles(AccountRole(name="Deployment")), BACKEND),
        **changes,
    )


SKIPPING = job(skips_clean=True)


def s3() -> Any:  # noqa: ANN401
    return new_session(HOME).client("s3")


def sqs() -> Any:  # noqa: ANN401
    return new_session(HOME).client("sqs")


def put(key: str, content: object) -> None:
    s3().put_object(Bucket=BUCKET, Key=key, Body=content if isinstance(content, str) else json.dumps(content))


def resource(kind: str = "aws_sqs_queue", mode: str = "managed", **instance: Any) -> dict[str, Any]:  # noqa: ANN401
    """A resource of a state: the queue, unless told otherwise."""
    url = sqs().get_queue_url(QueueName="failures")["QueueUrl"]
    shape = {"index_key": 0, "attributes": {"url": url}, **instance}
    return {"module": "module.preferences[0]", "mode": mode, "type": kind, "name": "failures", "instances": [shape]}


def mark() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(s3().get_object(Bucket=BUCKET, Key=MARK)["Body"].read())
    return found


def is_marked() -> bool:
    return bool(s3().list_objects_v2(Bucket=BUCKET, Prefix=MARK)["KeyCount"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir(mode=0o700)
    return folder


Plan = Callable[..., TargetResult]


@pytest.fixture
def plan(credentials: None, stand_in: Callable[[str], Path], tmp_path: Path, folder: Path) -> Iterator[Plan]:  # noqa: ARG001
    """Plan with a terraform that answers as told; it is noted in `trace` that it ran."""
    root = tmp_path / "root"
    (root / "modules").mkdir(parents=True)

    def plan(planned: Job = SKIPPING, *, code: int = 0) -> TargetResult:
        binary = stand_in(f"echo $1 >>'{tmp_path}/trace'; exit {code}")
        environment = {"PATH": os.environ["PATH"]}
        terraform = Terraform(
            binary=str(binary), root=RootModule(root), data_folder=tmp_path / "data", environment=environment
        )
        return perform(planned, folder, terraform)

    with mock_aws():
        s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": HOME})
        s3().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        sqs().create_queue(QueueName="failures")
        put(STATE, {"resources": [resource()]})
        yield plan


@pytest.fixture
def ran(tmp_path: Path) -> Callable[[], bool]:
    """Whether terraform ran since the last question."""

    def ran() -> bool:
        trace = tmp_path / "trace"
        found = trace.exists()
        trace.unlink(missing_ok=True)
        return found

    return ran


def test_a_target_is_skipped_as_long_as_it_is_as_in_its_last_clean_run(plan: Plan, ran: Callable[[], bool]) -> None:
    first = plan(job())
    assert (first.status, first.skipped_plan, ran()) == (Status.NO_CHANGES, False, True)
    assert list(mark()["live"]) == [ADDRESS]

    # Messages come and go without a plan that would say so.
    sqs().send_message(QueueUrl=sqs().get_queue_url(QueueName="failures")["QueueUrl"], MessageBody="failed")
    assert why_no_candidate(SKIPPING) == ""
    second = plan()
    assert (second.status, second.skipped_plan, second.changes, ran()) == (Status.NO_CHANGES, True, None, False)
    assert second.verified is None  # no preferences are managed

    # Without the option, terraform plans.
    assert not plan(job()).skipped_plan
    assert ran()


def test_what_the_clean_plan_said_is_said_again(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("session_manager_fleet.run.unseen.may_be_left", lambda _: True)
    monkeypatch.setattr("session_manager_fleet.run.unseen.left_notes", lambda _: ("Left as it is.",))
    monkeypatch.setattr(Terraform, "show", lambda *_: {})
    plan(job())

    assert plan().notes == ("Left as it is.",)


def change_queue() -> None:
    url = sqs().get_queue_url(QueueName="failures")["QueueUrl"]
    sqs().set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "99"})


def delete_queue() -> None:
    sqs().delete_queue(QueueUrl=sqs().get_queue_url(QueueName="failures")["QueueUrl"])


def change_mark(**members: object) -> Callable[[], None]:
    return lambda: put(MARK, {**mark(), **members})


def change_state(**members: Any) -> Callable[[], None]:  # noqa: ANN401
    """Store another state, whose mark is otherwise right: only what it holds speaks against it."""

    def change() -> None:
        # What has another mode is beside the queue.
        beside = [resource()] if "mode" in members else []
        put(STATE, {"resources": [*beside, resource(**members)]})
        head = s3().head_object(Bucket=BUCKET, Key=STATE)
        change_mark(state=f"{head['VersionId']} {head['ETag']}")()

    return change


UNKNOWN = replace(SKIPPING, settings=replace(SKIPPING.settings, tools=replace(TOOLS, provider_version="6.0.0")))
ROOT = replace(SKIPPING, settings=replace(SKIPPING.settings, tools=replace(TOOLS, root_sha256="1" * 64)))
ELSEWHERE = replace(SKIPPING, settings=replace(SKIPPING.settings, backend=replace(BACKEND, kms_key_arn="arn:other")))


@pytest.mark.parametrize(
    ("doubt", "planned", "reason"),
    [
        (change_queue, SKIPPING, f"AWS does not answer as in its last clean run about {ADDRESS}"),
        (delete_queue, SKIPPING, f"AWS does not answer as in its last clean run about {ADDRESS}"),
        (lambda: put(STATE, {"resources": [resource()]}), SKIPPING, "its state has changed since its last clean run"),
        (lambda: put(f"{STATE}.tflock", "{}"), SKIPPING, "its state is locked"),
        (lambda: s3().delete_object(Bucket=BUCKET, Key=MARK), SKIPPING, "no clean run of it is recorded"),
        (lambda: put(MARK, "{"), SKIPPING, "the mark of its last clean run cannot be read"),
        (lambda: put(MARK, "[]"), SKIPPING, "the mark of its last clean run cannot be read"),
        (change_mark(schema_version=2), SKIPPING, "the mark of its last clean run has another version"),
        (change_mark(live={}), SKIPPING, f"AWS does not answer as in its last clean run about {ADDRESS}"),
        (lambda: put(STATE, "{"), SKIPPING, "its state cannot be read"),
        (lambda: put(STATE, {"encrypted_data": ""}), SKIPPING, "its state cannot be read"),
        (lambda: put(STATE, {"resources": []}), SKIPPING, "it has no state"),
        (change_state(kind="aws_instance"), SKIPPING, "only Terraform reads aws_instance"),
        (change_state(mode="data", kind="aws_ami"), SKIPPING, "its state holds the data source aws_ami"),
        (change_state(status="tainted"), SKIPPING, "a resource that Terraform is to replace or to delete"),
        (change_state(deposed="1"), SKIPPING, "a resource that Terraform is to replace or to delete"),
        (change_state(attributes={}), SKIPPING, f"the state of {ADDRESS} has another form"),
        (lambda: None, replace(SKIPPING, variables="other"), "its variables, the root module, a version"),
        (lambda: None, UNKNOWN, "its variables, the root module, a version"),
        (lambda: None, ROOT, "its variables, the root module, a version"),
        (lambda: None, ELSEWHERE, "its variables, the root module, a version"),
        (lambda: None, replace(SKIPPING, why_planned="verify found a finding"), "verify found a finding"),
    ],
)
def test_every_doubt_makes_terraform_plan(
    plan: Plan, ran: Callable[[], bool], folder: Path, doubt: Callable[[], None], planned: Job, reason: str
) -> None:
    plan(job())
    ran()
    doubt()

    result = plan(planned)

    assert (result.status, result.skipped_plan, ran()) == (Status.NO_CHANGES, False, True)
    log = (folder / "terraform.log").read_text()
    assert "Terraform plans it, because " in log
    assert reason in log


def test_a_refused_call_makes_terraform_plan_and_leaves_no_mark(
    plan: Plan, ran: Callable[[], bool], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AccessError("Cannot read sqs:get_queue_attributes: AccessDenied.")

    plan(job())
    ran()
    before = mark()
    monkeypatch.setattr("session_manager_fleet.run.clean.comparison.digests_of", refuse)

    assert not plan().skipped_plan
    assert ran()
    assert mark() == before
    assert "is not recorded, because Cannot read sqs:get_queue_attributes" in (folder / "terraform.log").read_text()


def test_a_live_document_that_differs_is_not_skipped(plan: Plan, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    plan(job())
    monkeypatch.setattr("session_manager_fleet.run.unseen.differences", lambda *_: (("inputs.x",), ()))

    assert plan().reason == "it is planned again with what exists already"
    assert "because the live document differs: inputs.x" in (folder / "terraform.log").read_text()


@pytest.mark.parametrize(
    ("planned", "code"), [(job(), 1), (job(destroy=True), 0), (job(components=("preferences",)), 0)]
)
def test_only_a_whole_plan_without_changes_is_recorded(plan: Plan, planned: Job, code: int) -> None:
    plan(planned, code=code)

    assert not is_marked()


def test_what_changes_while_terraform_plans_is_not_taken_for_clean(
    plan: Plan, ran: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Terraform.plan

    def and_change(self: Terraform, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401
        outcome = whole(self, *arguments, **more)
        change_queue()
        return outcome

    monkeypatch.setattr(Terraform, "plan", and_change)
    plan(job())
    ran()

    assert not plan().skipped_plan
    assert ran()


def test_a_state_that_changes_while_terraform_plans_is_not_recorded(
    plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Terraform.plan

    def and_store(self: Terraform, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401
        put(STATE, {"resources": [resource()]})
        return whole(self, *arguments, **more)

    monkeypatch.setattr(Terraform, "plan", and_store)
    plan(job())

    assert not is_marked()
    assert "its state has changed while it was planned" in (folder / "terraform.log").read_text()


def test_a_bucket_that_takes_no_marks_stops_nothing(plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AccessError("Cannot store it: AccessDenied.")

    monkeypatch.setattr("session_manager_fleet.run.clean.comparison.store_clean_mark", refuse)

    assert plan(job()).status is Status.NO_CHANGES
    assert "The clean run is not recorded, because Cannot store it" in (folder / "terraform.log").read_text()


def test_an_equal_mark_is_not_stored_again(plan: Plan) -> None:
    plan(job())
    version = s3().head_object(Bucket=BUCKET, Key=MARK)["VersionId"]
    plan(job())

    assert s3().head_object(Bucket=BUCKET, Key=MARK)["VersionId"] == version
    assert read_clean_mark(BACKEND, TARGET) is not None


def test_a_plan_that_skips_nothing_reads_the_account_only_where_no_mark_is_true(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    plan(job())
    marked = mark()
    monkeypatch.setattr("session_manager_fleet.run.clean.comparison.digests_of", refuse)
    plan(job())
    assert mark() == marked

    # Other variables, or another state, need another mark.
    with pytest.raises(AssertionError):
        plan(replace(job(), variables="other"))
    put(STATE, {"resources": [resource()]})
    with pytest.raises(AssertionError):
        plan(job())


def test_the_mark_of_a_plan_that_skips_nothing_hides_no_later_change(plan: Plan, ran: Callable[[], bool]) -> None:
    plan(job())
    change_queue()
    plan(job())
    ran()

    assert not plan().skipped_plan
    assert ran()
    assert plan().skipped_plan


def test_a_damaged_mark_is_replaced(plan: Plan) -> None:
    put(MARK, "{")
    plan(job())

    assert plan().skipped_plan


def test_an_apply_whose_result_is_unknown_is_no_candidate(plan: Plan) -> None:
    plan(job())

    assert why_no_candidate(replace(SKIPPING, verify=True)) == "the result of its last apply is not known"
    put(STATE, {"resources": [resource()]})
    assert why_no_candidate(SKIPPING) == "its state has changed since its last clean run"
    assert why_no_candidate(replace(SKIPPING, variables="other")).startswith("its variables")
    s3().delete_object(Bucket=BUCKET, Key=MARK)
    assert why_no_candidate(SKIPPING) == "no clean run of it is recorded"
