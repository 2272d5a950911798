"""The verbs as functions: what is prepared, begun, resumed and told."""

import errno
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.accounts.matching import Matcher
from session_manager_fleet.accounts.model import Account
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.run import beginnings
from session_manager_fleet.run.attachments import Attachment
from session_manager_fleet.run.beginnings import begin_run, continue_run
from session_manager_fleet.run.executors.base import Workers
from session_manager_fleet.run.folder import JournalError, RunFolder
from session_manager_fleet.run.operation import Operation
from session_manager_fleet.run.options import RunOptions
from session_manager_fleet.run.results import (
    Status,
    Step,
    TargetKey,
    TargetResult,
    exit_code,
    unfinished,
    with_changes,
)
from session_manager_fleet.run.reviewed_plan import ReviewedPlan
from session_manager_fleet.run.run_lock import RunLock
from session_manager_fleet.run.signals import handled_signals
from session_manager_fleet.settings.tolerance import Tolerance
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import EVERYTHING, Selection, Shard, Target, TargetList

HOME, OTHER = "eu-west-1", "us-east-1"
PAYMENTS, DEV = Account("111122223333", "Payments"), Account("222233334444", "Dev")
BUCKET = "session-manager-state-123456789012"
ATTACHED = (Attachment("arn:aws:iam::222233334444:policy/Sessions", "role", "WebServer"),)


@pytest.fixture
def context(write: Callable[[str, str], Path], settings_file: Callable[[str], Path]) -> Inventory:
    write(
        "accounts.yaml",
        "accounts:\n  - {id: 111122223333, name: Payments}\n  - {id: 222233334444, name: Dev}\n",
    )
    return Inventory.load(settings_file("waves: [{name: canary, match: {accounts: [Dev]}, max_failures: 1}]\n"))


def everything(context: Inventory) -> TargetList:
    return context.select(EVERYTHING)


# --- Results -----------------------------------------------------------------------------------------------------


def result(status: Status, target: Target | None = None, step: Step = Step.PLAN) -> TargetResult:
    return TargetResult.build(target or Target(PAYMENTS, HOME, HOME), status, step)


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], ExitCode.DONE),
        ([Status.NO_CHANGES, Status.APPLIED], ExitCode.DONE),
        ([Status.NO_CHANGES, Status.CHANGES], ExitCode.CHANGES_PENDING),
        ([Status.CHANGES, Status.FAILED], ExitCode.TARGET_FAILED),
        ([Status.APPLIED, Status.NOT_STARTED], ExitCode.TARGET_FAILED),
        ([Status.APPLIED, Status.UNFINISHED], ExitCode.TARGET_FAILED),
        ([Status.APPLIED, Status.UNFINISHED, Status.CHANGES], ExitCode.TARGET_FAILED),
    ],
)
def test_failure_beats_changes(statuses: list[Status], code: ExitCode) -> None:
    results = [result(status) for status in statuses]

    assert exit_code(results) is code
    assert exit_code(results, missing_shards=["2/3"]) is ExitCode.TARGET_FAILED
    assert exit_code(results, interrupted=True) is ExitCode.INTERRUPTED


def test_a_saved_plan_that_waits_is_a_pending_change() -> None:
    waiting = result(Status.NOT_STARTED, step=Step.APPLY)

    assert exit_code([result(Status.APPLIED), waiting]) is ExitCode.CHANGES_PENDING
    assert exit_code([result(Status.FAILED), waiting]) is ExitCode.TARGET_FAILED


def test_the_exit_codes_are_the_documented_ones() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "TARGET_FAILED": 1,
        "CHANGES_PENDING": 2,
        "INTERNAL_ERROR": 3,
        "INVALID_INPUT": 64,
        "INTERRUPTED": 130,
    }


def test_what_has_to_be_planned_again_and_what_is_planned() -> None:
    results = [result(status) for status in Status]
    blocked = result(Status.NOT_STARTED, step=Step.APPLY)

    assert [entry.status for entry in unfinished([*results, blocked])] == [
        Status.FAILED,
        Status.NOT_STARTED,
        Status.UNFINISHED,
    ]
    assert with_changes([*results, blocked]) == [result(Status.CHANGES), blocked]


# --- Beginnings --------------------------------------------------------------------------------------------------


def test_a_new_run_says_everything_about_itself(context: Inventory) -> None:
    beginning = begin_run(context, "plan", everything(context), EVERYTHING, warnings=["Look."])

    assert (beginning.command, beginning.organization_id) == ("plan", "o-exampleorgid")
    assert (beginning.shard, beginning.shards, beginning.wave) == (None, (), None)
    assert beginning.tolerances == {"canary": Tolerance(1)}
    assert [key.key for key in beginning.targets] == [each.key for each in everything(context).targets]
    assert len(beginning.configuration_sha256) == 64
    assert beginning.warnings == ("Look.",)


def test_a_selection_is_told_the_same_however_it_was_written(context: Inventory) -> None:
    include = Matcher(accounts=["Payments", "Dev"], ous=["Root"], tags={"a": "b"}, regions=[HOME, HOME])
    same = replace(include, accounts=["Dev", "Payments"], regions=[HOME])

    def told(selection: Selection) -> tuple[str, ...]:
        return begin_run(context, "plan", everything(context), selection).selection

    assert told(Selection(include, exclude=["region=us-east-1"], wave="canary", shard=Shard(1, 2))) == (
        "--account Dev",
        "--account Payments",
        "--ou Root",
        "--tag a=b",
        f"--region {HOME}",
        "--exclude region=us-east-1",
        "--wave canary",
    )
    assert told(Selection(include)) == told(Selection(same, everything=True))
    assert told(EVERYTHING) == ()


def test_a_shard_knows_which_shards_hold_anything(context: Inventory) -> None:
    selection = Selection(everything=True, shard=Shard(1, 50))

    beginning = begin_run(context, "plan", context.select(selection), selection)

    assert beginning.shard == "1/50"
    assert len(beginning.shards) == 2
    assert all(any(Shard(number, 50).holds(account.id) for account in (PAYMENTS, DEV)) for number in beginning.shards)


def test_what_goes_on_keeps_the_shard_and_may_be_narrowed(context: Inventory) -> None:
    targets = list(everything(context).targets)
    first = begin_run(context, "plan", everything(context), Selection(everything=True, shard=Shard(1, 1)))

    again = continue_run(context, first, targets, "apply")
    narrowed = continue_run(context, first, targets, "apply", Selection(wave="canary", shard=Shard(2, 3)))

    assert (again.command, again.shard, again.wave, again.targets) == ("apply", "1/1", None, ())
    assert (narrowed.shard, narrowed.wave) == ("2/3", "canary")
    assert [each.account.id for each in targets if narrowed.covers(TargetKey.of(each))] == [
        each.account.id for each in targets if each.wave == "canary" and Shard(2, 3).holds(each.account.id)
    ]


def test_a_run_of_another_organization_is_refused(context: Inventory) -> None:
    first = begin_run(context, "plan", everything(context), EVERYTHING)

    with pytest.raises(InputError, match="This run belongs to o-other, but the settings to o-exampleorgid"):
        continue_run(context, first.model_copy(update={"organization_id": "o-other"}), [], "apply")


def test_a_run_is_not_resumed_with_other_settings(context: Inventory, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "runs")
    run.begin(begin_run(context, "plan", everything(context), EVERYTHING))
    beginnings.refuse_other_configuration(context, run.read())

    path = context.settings.document.path
    path.write_text(path.read_text() + "# changed\n")

    with pytest.raises(InputError, match="The configuration has changed since this run was planned"):
        beginnings.refuse_other_configuration(context, run.read())


# --- Operations --------------------------------------------------------------------------------------------------


class Silent:
    """An observer that does nothing."""

    def begin(self, step: Step, targets: int) -> None: ...
    def started(self, target: Target, step: Step) -> None: ...
    def finished(self, result: TargetResult) -> None: ...
    def end(self) -> None: ...


@pytest.fixture
def aws(credentials: None) -> Iterator[None]:  # noqa: ARG001 - for the clients
    with mock_aws():
        yield


@pytest.fixture
def claims() -> Iterator[ExitStack]:
    """What prepared operations have claimed, until it is closed."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def prepare(
    context: Inventory,
    claims: ExitStack,
    tmp_path: Path,
    stand_in: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    aws: None,  # noqa: ARG001 - state bucket
) -> Callable[..., Operation]:
    """Prepare an operation over all targets, with a terraform that plans no changes."""
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)
    path = stand_in(f"""
        if [ "$1" = version ]; then echo '{{"terraform_version": "1.11.4"}}'; exit; fi
        echo "$TF_DATA_DIR $TF_WORKSPACE $*" >>'{tmp_path}/trace'
        env >'{tmp_path}/environment'
        """)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    def prepare(options: RunOptions = RunOptions(workers=3), command: str = "plan") -> Operation:  # noqa: B008
        run = RunFolder.create(tmp_path / "runs")
        selected = everything(context)
        beginning = begin_run(context, command, selected, EVERYTHING)
        claim = claims.enter_context(RunLock.take(run.path.parent, run.run_id))
        return Operation.prepare(context, run, claim, beginning, selected.targets, Silent(), options)

    return prepare


def test_preparation_initializes_each_region_in_its_own_place(
    prepare: Callable[..., Operation], tmp_path: Path
) -> None:
    operation = prepare()

    run = operation.run
    assert (operation.capacity.plan_workers, operation.capacity.apply_workers) == (3, 3)
    lines = (tmp_path / "trace").read_text().splitlines()
    assert len(lines) == 2
    for region, line in zip((HOME, OTHER), lines, strict=True):
        assert line.startswith(f"{run.path}/.terraform/{region}  init ")
        assert f"-backend-config=bucket={BUCKET} " in line
        assert f"-backend-config=workspace_key_prefix=session-manager/{region} " in line
        assert stat.S_IMODE((run.path / f"init-{region}.log").stat().st_mode) == 0o600
    beginning = run.read().beginning
    assert beginning.command == "plan"
    assert beginning.caller == "arn:aws:sts::123456789012:user/moto"
    assert operation.run.summarize(run.read()).caller == beginning.caller
    # An apply runs in a folder of the run, where a version manager could find another version.
    environment = (tmp_path / "environment").read_text().splitlines()
    for manager in ("TFENV", "ASDF", "MISE"):
        assert f"{manager}_TERRAFORM_VERSION=1.11.4" in environment
    (warning,) = beginning.warnings
    assert warning == (
        "Plans cost about half as much again, because terraform starts the provider itself: "
        "terraform init has not installed the provider as a folder."
    )


def test_an_operation_from_its_beginning_to_its_end(prepare: Callable[..., Operation]) -> None:
    operation = prepare()

    results = operation.plan(operation.inventory.select(EVERYTHING).targets)
    data = operation.run.path / ".terraform"
    (data / HOME).mkdir(parents=True)
    code, summary = operation.finish(operation.apply(results))

    assert not data.exists()
    assert (code, summary.exit_code, summary.totals.no_changes) == (ExitCode.DONE, 0, 4)
    assert operation.run.read().results == [replace(each, log=f"{each.key}/terraform.log") for each in results]


def test_targets_at_work_are_refused_until_their_claim_is_released(
    prepare: Callable[..., Operation], claims: ExitStack
) -> None:
    operation = prepare()
    with pytest.raises(InputError, match=rf"Run {operation.run.run_id} is locked by .*{PAYMENTS.id}/{HOME}"):
        prepare()

    claims.close()

    prepare().finish([])


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(
    prepare: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("session_manager_fleet.run.operation.child_environment", full)

    with pytest.raises(JournalError, match=r"/runs/\S+ cannot be written \(No space left on device\); nothing was"):
        prepare()


def test_one_after_another_means_one_worker(prepare: Callable[..., Operation]) -> None:
    operation = prepare(RunOptions(workers=8, serial=True))

    assert (operation.capacity.plan_workers, operation.capacity.apply_workers) == (1, 1)


def test_an_account_that_has_left_the_organization_is_skipped_and_the_run_can_end(
    prepare: Callable[..., Operation],
) -> None:
    operation = prepare()

    [gone] = operation.plan([Target(Account("999988887777", "Gone"), HOME, HOME)])

    assert (gone.status, gone.failure) == (Status.SKIPPED, None)
    assert gone.reason == "The account 999988887777 is no longer in the organization"
    assert unfinished([gone]) == []
    assert exit_code([gone]) == 0


def test_jobs_carry_what_holds_for_them(prepare: Callable[..., Operation]) -> None:
    operation = prepare(RunOptions(workers=1, allow_destroy=False), command="destroy")
    target = Target(Account("222233334444", "Dev"), HOME, HOME)
    operation.retry_tokens[target.key] = 3
    operation.allow_destroy()

    planned = TargetResult.build(target, Status.CHANGES, Step.PLAN, plan_sha256="ab", attachments=ATTACHED)
    job = operation._job(Step.APPLY, target, planned, again=False)

    assert (job.destroy, job.retry_token, job.reviewed, job.verify) == (True, 3, ReviewedPlan.of(planned), False)
    assert job.attachments == ATTACHED
    assert job.settings.options.allow_destroy is True
    assert '+3"' in job.variables


def test_an_indeterminate_target_is_verified_with_its_current_retry_token(
    prepare: Callable[..., Operation],
) -> None:
    operation = prepare()
    target = Target(DEV, HOME, HOME)
    operation.indeterminate = {target.key}
    key = f"session-manager/revisions/{target.key}/7"
    boto3.client("s3", region_name="us-east-1").put_object(Bucket=BUCKET, Key=key, Body=b"{}")

    job = operation._job(Step.PLAN, target, None, again=False)

    assert (job.verify, job.retry_token) == (True, 7)


def test_jobs_carry_why_terraform_plans_although_clean_targets_are_skipped(
    prepare: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = prepare()
    clean, other = (Target(Account(each, "Dev"), HOME, HOME) for each in (DEV.id, PAYMENTS.id))
    monkeypatch.setattr(
        "session_manager_fleet.run.operation.why_no_candidate", lambda job: "" if job.target == clean else "it differs"
    )
    assert not operation._job(Step.PLAN, clean, None, again=False).skips_clean

    assert operation.skip_clean([clean, other]) == [clean]
    before, planned = (operation._job(Step.PLAN, target, None, again=False) for target in (clean, other))
    operation.verified(clean, "")
    after = operation._job(Step.PLAN, clean, None, again=False)

    assert (before.skips_clean, before.why_planned) == (True, "it was not verified")
    assert (planned.skips_clean, planned.why_planned) == (True, "it differs")
    assert (after.skips_clean, after.why_planned) == (True, "")


# --- Signals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_stops_and_the_second_interrupts_terraform(
    prepare: Callable[..., Operation], number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = prepare()
    moment = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    told: list[str] = []
    interrupted: list[bool] = []
    inner = operation.workers

    @contextmanager
    def opened() -> Iterator[Workers]:
        with inner() as workers:
            yield replace(workers, interrupt=lambda: interrupted.append(True))

    operation.workers = opened
    before = signal.getsignal(number)

    with operation.interruptible(told.append), operation._rollout():
        signal.raise_signal(number)
        assert (operation.stop.is_set(), interrupted) == (True, [])
        signal.raise_signal(number)  # the same Ctrl-C, sent to the process and to its group
        assert interrupted == []
        moment += 1
        signal.raise_signal(number)
        assert interrupted == [True]

    assert [line.split(";")[0] for line in told] == [
        "Stopping after the running targets. Interrupt again to interrupt terraform itself.",
        "Interrupting terraform",
    ]
    assert signal.getsignal(number) is before


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    """As `nohup` wants it; Ctrl-C is handled also where a shell has made background jobs ignore it."""
    ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGINT)}
    heard: list[int] = []
    try:
        with handled_signals(lambda number, _: heard.append(number)):
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in ignored.items():
            signal.signal(number, handler)

    assert heard == [signal.SIGINT]


def test_handlers_are_put_back_after_an_error_too() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(ZeroDivisionError), handled_signals(lambda *_: None):
        raise ZeroDivisionError

    assert signal.getsignal(signal.SIGTERM) is before
