"""The verbs as functions: what is rendered, removed, merged and told."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from fleet import operations
from fleet.audit import LivePreferences
from fleet.capacity import Capacity
from fleet.context import Context
from fleet.errors import ExitCode, InputError
from fleet.journal import RunFolder, Status, Step, TargetResult
from fleet.operations import Operation, RenderedFile, exit_code, handled_signals, merge_results, with_changes
from fleet.organization import Account
from fleet.plans import ChangeSet
from fleet.rollout import Rollout
from fleet.targets import Selection, Target, TargetList
from fleet.terraform import PlanOutcome, Terraform

HOME, OTHER = "eu-west-1", "us-east-1"
PAYMENTS, DEV = Account("111122223333", "Payments"), Account("222233334444", "Dev")


@pytest.fixture
def context(write: Callable[[str, str], Path], settings_file: Callable[[str], Path]) -> Context:
    write(
        "accounts.yaml",
        "accounts:\n  - {id: 111122223333, name: Payments}\n  - {id: 222233334444, name: Dev}\n",
    )
    return Context.load(settings_file("exceptions:\n  - " + EXPIRED))


EXPIRED = "{match: {accounts: [Dev]}, skip: [preferences], owner: dev, reason: tests, expires: 2020-01-01}\n"


def everything(context: Context) -> TargetList:
    return context.select(Selection(everything=True))


# --- Rendering ---------------------------------------------------------------------------------------------------


def test_rendering_writes_nothing_by_itself(context: Context, tmp_path: Path) -> None:
    files = operations.render(context, everything(context), tmp_path / "out", find_stale=True)

    assert [str(file.path.relative_to(tmp_path / "out")) for file in files] == [
        "111122223333/eu-west-1.tfvars",
        "111122223333/us-east-1.tfvars",
        "222233334444/eu-west-1.tfvars",
        "222233334444/us-east-1.tfvars",
    ]
    assert all(file.differs and file.current is None for file in files)
    assert not (tmp_path / "out").exists()


def test_only_what_differs_is_written(context: Context, tmp_path: Path) -> None:
    out = tmp_path / "out"
    operations.write_rendered(operations.render(context, everything(context), out, find_stale=True), prune=False)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.tfvars")}
    edited = out / "111122223333" / "eu-west-1.tfvars"
    edited.write_text("edited by hand\n")

    files = operations.render(context, everything(context), out, find_stale=True)
    operations.write_rendered(files, prune=False)

    assert [file.path for file in files if file.differs] == [edited]
    assert "-edited by hand\n" in files[0].diff()
    assert '+account_id = "111122223333"\n' in files[0].diff()
    assert {path for path, time in times.items() if path.stat().st_mtime_ns == time} == times.keys() - {edited}
    assert not any(file.differs for file in operations.render(context, everything(context), out, find_stale=True))


def test_rendered_files_are_private(context: Context, tmp_path: Path) -> None:
    operations.write_rendered(
        operations.render(context, everything(context), tmp_path / "out", find_stale=False), prune=False
    )

    for path in (tmp_path / "out").rglob("*.tfvars"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_stale_files_are_found_and_removed_only_on_request(context: Context, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("999988887777/eu-west-1.tfvars", "111122223333/ap-southeast-2.tfvars"):
        (out / name).parent.mkdir(parents=True)
        (out / name).write_bytes(b"old \xff\n")
    for name in ("999988887777/notes.txt", "shared/eu-west-1.tfvars", "2024/eu-west-1.tfvars"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("not ours\n")

    files = operations.render(context, everything(context), out, find_stale=True)
    stale = [file.path for file in files if file.stale]
    assert stale == [out / "111122223333" / "ap-southeast-2.tfvars", out / "999988887777" / "eu-west-1.tfvars"]
    assert "-old" in next(file for file in files if file.stale).diff()

    operations.write_rendered(files, prune=False)
    assert all(path.exists() for path in stale)
    operations.write_rendered(files, prune=True)
    assert not any(path.exists() for path in stale)
    assert (out / "2024" / "eu-west-1.tfvars").exists()
    assert (out / "shared" / "eu-west-1.tfvars").exists()


def test_a_part_of_the_targets_finds_nothing_stale(context: Context, tmp_path: Path) -> None:
    out = tmp_path / "out"
    operations.write_rendered(operations.render(context, everything(context), out, find_stale=True), prune=True)
    part = TargetList(everything(context).targets[:1], ())

    assert [file.path.name for file in operations.render(context, part, out, find_stale=False)] == ["eu-west-1.tfvars"]


def test_a_file_that_is_as_it_should_be_has_no_difference() -> None:
    assert not RenderedFile(Path("a"), "x\n", "x\n").differs
    assert RenderedFile(Path("a"), "x\n", "x\n").diff() == ""
    assert RenderedFile(Path("a"), "x\n", None).differs


def test_an_expired_exception_is_refused_before_a_plan(context: Context) -> None:
    with pytest.raises(InputError, match=r"organization\.yaml:9 .* The exception of dev expired on 2020-01-01"):
        operations.refuse_expired_exceptions(context)


# --- Results -----------------------------------------------------------------------------------------------------


def result(status: Status, target: Target | None = None, step: Step = Step.PLAN) -> TargetResult:
    return TargetResult(target or Target(PAYMENTS, HOME, HOME), status, step)


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], ExitCode.DONE),
        ([Status.NO_CHANGES, Status.APPLIED], ExitCode.DONE),
        ([Status.NO_CHANGES, Status.CHANGES], ExitCode.CHANGES_PENDING),
        ([Status.CHANGES, Status.FAILED], ExitCode.TARGET_FAILED),
        ([Status.APPLIED, Status.NOT_STARTED], ExitCode.TARGET_FAILED),
    ],
)
def test_failure_beats_changes(statuses: list[Status], code: ExitCode) -> None:
    results = [result(status) for status in statuses]

    assert exit_code(results, interrupted=False) is code
    assert exit_code(results, interrupted=True) is ExitCode.INTERRUPTED


def test_the_exit_codes_are_the_documented_ones() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "TARGET_FAILED": 1,
        "CHANGES_PENDING": 2,
        "INTERNAL_ERROR": 3,
        "INVALID_INPUT": 64,
        "INTERRUPTED": 130,
    }


def test_a_result_of_an_apply_keeps_what_the_plan_said() -> None:
    changes = ChangeSet((), ("arn",))
    planned = replace(
        result(Status.CHANGES),
        outcome=PlanOutcome(changed=True, add=1),
        change_set=changes,
        plan_sha256="ab",
        seconds=2.0,
    )
    unchanged = result(Status.NO_CHANGES, Target(DEV, HOME, HOME))
    applied = replace(result(Status.APPLIED, step=Step.APPLY), seconds=3.0)

    merged = merge_results([planned, unchanged], [applied])

    assert merged == [
        replace(applied, outcome=planned.outcome, change_set=changes, plan_sha256="ab", seconds=5.0),
        unchanged,
    ]
    assert with_changes([planned, unchanged, applied]) == [planned]


# --- Signals -----------------------------------------------------------------------------------------------------


class Interruptible(Terraform):
    """Counts how often it is interrupted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(binary="/bin/false", root=folder, data_folder=folder, environment={})
        self.interrupted = 0

    def interrupt(self) -> None:
        self.interrupted += 1


class Silent:
    """An observer that does nothing."""

    def begin(self, step: Step, targets: int) -> None: ...
    def started(self, target: Target, step: Step) -> None: ...
    def finished(self, result: TargetResult) -> None: ...
    def end(self) -> None: ...


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_stops_and_the_second_interrupts_terraform(
    context: Context, tmp_path: Path, number: signal.Signals
) -> None:
    run, stop, terraform = RunFolder.create(tmp_path), threading.Event(), Interruptible(tmp_path)
    rollout = Rollout(run, {HOME: terraform}, Silent(), stop)
    operation = Operation(context, run, Capacity(1, 1, None), stop, rollout)
    told: list[str] = []
    before = signal.getsignal(number)

    with operation.interruptible(told.append):
        signal.raise_signal(number)
        assert (stop.is_set(), terraform.interrupted) == (True, 0)
        signal.raise_signal(number)
        assert terraform.interrupted == 1

    assert [line.split(":")[0].split(";")[0] for line in told] == ["Stopping", "Interrupting terraform"]
    assert signal.getsignal(number) is before


def test_handlers_are_put_back_after_an_error_too() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(ZeroDivisionError), handled_signals(lambda *_: None):
        raise ZeroDivisionError

    assert signal.getsignal(signal.SIGTERM) is before


# --- Preparation and reading back --------------------------------------------------------------------------------


@pytest.fixture
def aws(credentials: None) -> Iterator[None]:  # noqa: ARG001 - for the clients
    with mock_aws():
        yield


@pytest.mark.usefixtures("aws")
def test_preparation_initializes_each_region_in_its_own_place(
    context: Context, tmp_path: Path, stand_in: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="session-manager-state-123456789012")
    path = stand_in(f"""
        if [ "$1" = version ]; then echo '{{"terraform_version": "1.11.4"}}'; exit; fi
        echo "$TF_DATA_DIR $TF_WORKSPACE $*" >>'{tmp_path}/trace'
        """)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    run = RunFolder.create(tmp_path / "runs")

    operation = Operation.prepare(context, run, [HOME, OTHER, HOME], Silent(), 3)

    assert (operation.capacity.plan_workers, operation.capacity.apply_workers) == (3, 3)
    lines = (tmp_path / "trace").read_text().splitlines()
    assert len(lines) == 2
    for region, line in zip((HOME, OTHER), lines, strict=True):
        assert line.startswith(f"{run.path}/.terraform/{region}  init ")
        assert "-backend-config=bucket=session-manager-state-123456789012 " in line
        assert f"-backend-config=workspace_key_prefix=session-manager/{region} " in line
        assert stat.S_IMODE((run.path / f"init-{region}.log").stat().st_mode) == 0o600


@pytest.mark.usefixtures("aws")
def test_live_preferences_or_why_they_cannot_be_read(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {
        "cloudWatchLogGroupName": "sessions",
        "cloudWatchEncryptionEnabled": True,
        "kmsKeyId": "alias/a",
        "idleSessionTimeout": "15",
        "maxSessionDuration": "",
        "s3BucketName": "logs",
        "s3EncryptionEnabled": False,
    }
    member = context.session(PAYMENTS, HOME)
    member.client("ssm").create_document(
        Name="SSM-SessionManagerRunShell",
        DocumentType="Session",
        DocumentFormat="JSON",
        Content=json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}),
    )
    targets = [Target(PAYMENTS, HOME, HOME), Target(PAYMENTS, OTHER, HOME)]

    (_, live), (_, missing) = operations.live_preferences(context, targets)

    assert isinstance(live, LivePreferences)
    assert (live.default_version, live.latest_version) == ("1", "1")
    assert live.logging == "CloudWatch sessions, S3 logs"
    assert live.encryption == "session data, CloudWatch"
    assert live.timeouts == "idle 15, max none"
    assert missing == "there is no preferences document"

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    [(_, refused)] = operations.live_preferences(context, targets[:1])
    assert isinstance(refused, str)
    assert refused.startswith("Cannot assume arn:aws:iam::111122223333:role/AWSControlTowerExecution")
