"""Scheduling: order, concurrency, waves, failures, retries and interruption, with work that does as it is told."""

import datetime
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from session_manager_fleet.accounts.model import LOG_ARCHIVE, Account
from session_manager_fleet.changes.change_set import ChangeSet, PlanOutcome, ResourceChange
from session_manager_fleet.errors import FleetError, InputError, TerraformError
from session_manager_fleet.run import scheduler as rollout
from session_manager_fleet.run.attachments import Attachment
from session_manager_fleet.run.credentials import CredentialsEnd
from session_manager_fleet.run.executors.base import Workers
from session_manager_fleet.run.executors.capacity import Capacity
from session_manager_fleet.run.failures import failed
from session_manager_fleet.run.folder import JournalError, RunFolder
from session_manager_fleet.run.job import PLANNED_AGAIN
from session_manager_fleet.run.job_description import Job, JobSettings, Performed
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.options import RunOptions
from session_manager_fleet.run.results import Status, Step, TargetKey, TargetResult, unfinished, with_changes
from session_manager_fleet.run.reviewed_plan import ReviewedPlan
from session_manager_fleet.run.saved_plan import Toolchain
from session_manager_fleet.run.scheduler import Scheduler
from session_manager_fleet.settings.roles import AccountRole, Roles
from session_manager_fleet.settings.schema import FOUNDATION, Wave
from session_manager_fleet.settings.tolerance import Tolerance
from session_manager_fleet.targets.model import Target
from session_manager_fleet.terraform.adoptions import Adoption
from session_manager_fleet.terraform.backend import StateBackend

HOME, OTHER = "eu-west-1", "us-east-1"
SETTINGS = JobSettings(
    Toolchain("1.11.4", "5.100.0", "0.1.0", ""),
    Roles(AccountRole(name="Deployment")),
    StateBackend("states", HOME, "session-manager"),
)


def target(number: int, region: str = HOME, wave: str = "rest") -> Target:
    return Target(Account(f"{number:012}", f"account {number}"), region, HOME, wave)


class ObedientWork:
    """Does for every workspace what the test wants, and notes what was asked of it."""

    def __init__(self) -> None:
        self.errors: dict[str, Exception] = {}
        self.unchanged: set[str] = set()
        self.changes: dict[str, ChangeSet] = {}
        self.on_begin: Callable[[str], object] = lambda workspace: None  # noqa: ARG005
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.order: list[str] = []
        self.jobs: list[Job] = []

    def __call__(self, job: Job) -> Performed:
        workspace = job.target.workspace
        self.jobs.append(job)
        self.begun.append(workspace)
        self.order.append(f"begin {workspace}")
        self.on_begin(workspace)
        self.order.append(f"end {workspace}")
        error = self.errors.get(workspace)
        if isinstance(error, FleetError | OSError):
            return Performed(failed(job.target, job.step, error, Path()))
        if error is not None:
            raise error
        self.ended.append(workspace)
        if job.step is Step.DETACH:
            return Performed(TargetResult.build(job.target, Status.UNFINISHED, job.step, detached=job.attachments))
        if job.step is Step.APPLY:
            return Performed(TargetResult.build(job.target, Status.APPLIED, Step.APPLY))
        if workspace in self.unchanged:
            return Performed(TargetResult.build(job.target, Status.NO_CHANGES, Step.PLAN, PlanOutcome(changed=False)))
        outcome, changes = PlanOutcome(changed=True, add=1), self.changes.get(workspace, CHANGES)
        return Performed(
            TargetResult.build(
                job.target, Status.CHANGES, Step.PLAN, outcome, changes, plan_sha256=f"{len(self.jobs):064x}"
            )
        )


CHANGES = ChangeSet((ResourceChange("create", "a.b"), ResourceChange("create", "a.c")))


class Watcher:
    """An observer that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, step: Step, targets: int) -> None:
        self.told.append(f"begin {step} {targets}")

    def started(self, target: Target, step: Step) -> None:
        self.told.append(f"started {step} {target.key}")

    def finished(self, result: TargetResult) -> None:
        self.told.append(f"finished {result.key} {result.status}")

    def end(self) -> None:
        self.told.append("end")


class Stage:
    """A rollout with everything around it."""

    def __init__(self, folder: Path) -> None:
        self.run = RunFolder.create(folder / "runs")
        self.work = ObedientWork()
        self.observer = Watcher()
        self.stop = threading.Event()
        self.options = RunOptions()
        self.credentials = CredentialsEnd()
        self.lost: tuple[type[BaseException], ...] = ()
        self.impossible: dict[str, FleetError] = {}

    def plan(self, *targets: Target, workers: int = 4) -> list[TargetResult]:
        keys = tuple(TargetKey.of(target) for target in targets)
        self.run.begin(
            Beginning(command="plan", organization_id="o-exampleorgid", configuration_sha256="ef" * 32, targets=keys)
        )
        with self._rollout(workers) as rollout:
            return rollout.plan(targets)

    def apply(
        self,
        planned: Sequence[TargetResult],
        *waves: Wave,
        workers: int = 4,
        between: Callable[[str, str], bool] = lambda _done, _next: True,
        reverse: bool = False,
    ) -> list[TargetResult]:
        for noted in (self.work.begun, self.work.ended, self.work.order, self.work.jobs):
            noted.clear()
        with self._rollout(workers) as rollout:
            return rollout.apply(planned, waves, between, reverse=reverse)

    @contextmanager
    def _rollout(self, count: int) -> Iterator[Scheduler]:
        with ThreadPoolExecutor(count) as executor:
            yield Scheduler(
                run=self.run,
                workers=Workers(lambda job: executor.submit(self.work, job), lambda: None, self.lost, count),
                make_job=self._job,
                observer=self.observer,
                stop=self.stop,
                capacity=Capacity(count, count),
                options=self.options,
                credentials=self.credentials,
            )

    def _job(self, step: Step, target: Target, planned: TargetResult | None, *, again: bool) -> Job:
        reviewed = ReviewedPlan.of(planned) if planned and step is not Step.PLAN else None
        if error := self.impossible.get(target.workspace):
            raise error
        attachments, adopted = (planned.attachments, planned.adopted) if planned else ((), ())
        return Job(step, target, "", SETTINGS, reviewed, attachments=attachments, adopted=adopted, verify=again)

    def journal(self) -> list[dict[str, Any]]:
        """The events of the targets, without what begins and ends the run."""
        lines = (self.run.path / "journal.jsonl").read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if "target" in entry]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def statuses(results: Sequence[TargetResult]) -> list[Status]:
    return [result.status for result in results]


# --- Plans -------------------------------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_targets_whoever_is_first(stage: Stage) -> None:
    targets = [target(number) for number in range(1, 9)]
    slow = threading.Event()
    last = targets[-1].workspace

    def begin(workspace: str) -> None:
        if workspace == targets[0].workspace:
            assert slow.wait(20)
        elif workspace == last:
            slow.set()

    stage.work.on_begin = begin
    results = stage.plan(*targets, workers=2)

    assert [result.target for result in results] == targets
    assert stage.work.ended[-1] == targets[0].workspace


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (TerraformError("terraform plan failed. Log: x", ["Error: a"]), "terraform", "terraform plan failed. Log: x"),
        (
            TerraformError("failed", ["Cannot assume IAM Role (provider.tf:12): not authorized: sts:AssumeRole"]),
            "access",
            "The role in the account could not be assumed.",
        ),
        (
            TerraformError("failed", ["No valid credential sources found"]),
            "access",
            "The role in the account could not be assumed.",
        ),
        (
            TerraformError("failed", ["UnrecognizedClientException: The security token is invalid"]),
            "access",
            "The role in the account could not be assumed.",
        ),
        (
            TerraformError("failed", ["AWS account ID not allowed: 1"]),
            "access",
            "The role in the account could not be assumed.",
        ),
        (
            OSError(28, "No space left on device", "runs/1/tfplan"),
            "machine",
            ("runs/1/tfplan cannot be used (No space left on device). Fix this, then `resume` plans the target again."),
        ),
    ],
)
def test_a_target_that_fails_is_told_and_stops_no_other(
    stage: Stage, error: Exception, kind: str, message: str
) -> None:
    stage.work.errors = {target(1).workspace: error}

    failed, *others = stage.plan(target(1), target(2), target(3), workers=1)

    assert failed.failure is not None
    assert (failed.status, failed.step, failed.failure.kind, failed.failure.message) == (
        Status.FAILED,
        Step.PLAN,
        kind,
        message,
    )
    assert failed.failure.diagnostics == getattr(error, "diagnostics", ())
    assert statuses(others) == [Status.CHANGES] * 2


def test_a_bug_is_not_taken_for_a_result(stage: Stage) -> None:
    stage.work.errors = {target(1).workspace: ZeroDivisionError()}

    with pytest.raises(ZeroDivisionError):
        stage.plan(target(1), target(2))

    assert stage.observer.told[-1] == "end"


def test_no_more_targets_at_once_than_workers(stage: Stage) -> None:
    running: set[str] = set()
    most = 0
    lock = threading.Lock()
    full = threading.Barrier(3, timeout=20)

    def begin(workspace: str) -> None:
        nonlocal most
        with lock:
            running.add(workspace)
            most = max(most, len(running))
        full.wait()
        with lock:
            running.discard(workspace)

    stage.work.on_begin = begin
    stage.plan(*(target(number) for number in range(1, 10)), workers=3)

    assert most == 3


def test_observer_and_journal_are_told_of_every_target(stage: Stage) -> None:
    stage.work.errors = {target(2).workspace: TerraformError("failed")}

    stage.plan(target(1), target(2), workers=1)

    first, second = target(1).key, target(2).key
    assert stage.observer.told == [
        "begin plan 2",
        f"started plan {first}",
        f"finished {first} changes",
        f"started plan {second}",
        f"finished {second} failed",
        "end",
    ]
    assert [(entry["event"], entry["target"]) for entry in stage.journal()] == [
        ("started", first),
        ("finished", first),
        ("started", second),
        ("finished", second),
    ]
    assert stage.journal()[3]["result"]["failure"]["message"] == "failed"


def test_after_a_stop_nothing_more_is_started(stage: Stage) -> None:
    def begin(workspace: str) -> None:
        if workspace == target(2).workspace:
            stage.stop.set()

    stage.work.on_begin = begin
    results = stage.plan(*(target(number) for number in range(1, 5)), workers=1)

    assert statuses(results) == [Status.CHANGES, Status.CHANGES, Status.NOT_STARTED, Status.NOT_STARTED]
    assert {result.reason for result in results[2:]} == {"the run was interrupted"}
    assert [entry["event"] for entry in stage.journal()] == ["started", "finished"] * 2 + ["finished"] * 2


def test_no_targets_are_no_work(stage: Stage) -> None:
    assert stage.plan() == []
    assert stage.apply([]) == []


# --- Applies -----------------------------------------------------------------------------------------------------


def test_regions_of_an_account_follow_each_other_the_home_region_first(stage: Stage) -> None:
    targets = [target(number, region) for region in (OTHER, HOME) for number in range(1, 5)]
    planned = stage.plan(*targets)

    results = stage.apply(planned, workers=8)

    assert set(statuses(results)) == {Status.APPLIED}
    assert {result.step for result in results} == {Step.APPLY}
    for number in range(1, 5):
        home, other = target(number, HOME).workspace, target(number, OTHER).workspace
        of_account = [event for event in stage.work.order if event.split()[1] in {home, other}]
        assert of_account == [f"begin {home}", f"end {home}", f"begin {other}", f"end {other}"]


def test_the_log_archive_is_applied_before_the_rest_of_the_foundation_and_destroyed_after_it(stage: Stage) -> None:
    archive = Target(Account(f"{9:012}", "Log Archive", role=LOG_ARCHIVE), HOME, HOME, FOUNDATION)
    management = target(1, wave=FOUNDATION)
    planned = stage.plan(management, archive)
    first, last = archive.workspace, management.workspace

    stage.apply(planned, Wave(name=FOUNDATION))
    assert stage.work.begun == [first, last]
    stage.apply(planned, Wave(name=FOUNDATION), reverse=True)
    assert stage.work.begun == [last, first]

    stage.work.errors[first] = FleetError("No bucket.")
    assert statuses(stage.apply(planned, Wave(name=FOUNDATION))) == [Status.NOT_STARTED, Status.FAILED]


def test_accounts_are_worked_on_at_the_same_time(stage: Stage) -> None:
    planned = stage.plan(target(1), target(2), target(3))
    meeting = threading.Barrier(3, timeout=20)
    stage.work.on_begin = lambda _: meeting.wait()

    assert set(statuses(stage.apply(planned, workers=3))) == {Status.APPLIED}


def test_a_failed_home_region_that_is_tolerated_stops_nothing_else(stage: Stage) -> None:
    planned = stage.plan(target(1), target(1, OTHER), target(2))
    stage.work.errors = {target(1).workspace: TerraformError("failed", ["Error: denied"])}

    results = {result.key: result for result in stage.apply(planned, Wave(name="rest", max_failures=Tolerance(1)))}

    failed = results[target(1).key]
    assert failed.failure is not None
    assert (failed.status, failed.step, failed.failure.diagnostics) == (Status.FAILED, Step.APPLY, ("Error: denied",))
    assert results[target(1, OTHER).key].status is Status.APPLIED
    assert results[target(2).key].status is Status.APPLIED


def waves_of(stage: Stage, failing: int) -> list[TargetResult]:
    """Plan four targets in each of three waves; the first ones of the first wave fail."""
    targets = [
        target(10 * place + number, wave=wave)
        for place, wave in enumerate(("canary", "middle", "rest"), start=1)
        for number in range(4)
    ]
    planned = stage.plan(*targets)
    stage.work.errors = {entry.workspace: TerraformError("failed") for entry in targets[:failing]}
    return planned


@pytest.mark.parametrize(
    ("tolerance", "failing", "goes_on"),
    [(0, 0, True), (0, 1, False), (1, 1, True), (1, 2, False), ("25%", 1, True), ("25%", 2, False), ("100%", 4, True)],
)
def test_a_wave_beyond_its_tolerance_stops_the_later_ones(
    stage: Stage, tolerance: int | str, failing: int, goes_on: bool
) -> None:
    planned = waves_of(stage, failing)

    results = stage.apply(planned, Wave(name="canary", max_failures=Tolerance.parse(tolerance)), Wave(name="middle"))

    canary, later = results[:4], results[4:]
    assert statuses(canary).count(Status.FAILED) == failing
    assert statuses(canary).count(Status.APPLIED) == 4 - failing
    if goes_on:
        assert set(statuses(later)) == {Status.APPLIED}
    else:
        assert set(statuses(later)) == {Status.NOT_STARTED}
        assert {result.reason for result in later} == {f"{failing} of 4 targets failed in the wave canary"}
        assert len(stage.work.begun) == 4


@pytest.mark.parametrize(
    ("tolerance", "attempts", "workers"), [(0, 1, 1), (2, 3, 1), ("25%", 3, 1), ("100%", 8, 1), (0, 3, 3)]
)
@pytest.mark.parametrize("regions", [(HOME,), (HOME, OTHER)])
def test_a_wave_beyond_its_tolerance_starts_nothing_more_itself(
    stage: Stage, tolerance: int | str, attempts: int, workers: int, regions: tuple[str, ...]
) -> None:
    """Also in the last wave, which has none after it, and also within an account."""
    planned = stage.plan(*(target(number, region) for number in range(8 // len(regions)) for region in regions))
    stage.work.errors = {entry.target.workspace: TerraformError("failed") for entry in planned}
    everybody = threading.Barrier(workers, timeout=20)
    stage.work.on_begin = lambda _: everybody.wait()

    results = stage.apply(planned, Wave(name="rest", max_failures=Tolerance.parse(tolerance)), workers=workers)

    assert len(stage.work.begun) == attempts
    assert statuses(results).count(Status.FAILED) == attempts
    reasons = {result.reason for result in results if result.status is Status.NOT_STARTED}
    assert reasons == ({f"{attempts} of 8 targets failed in the wave rest"} if attempts < 8 else set())


def test_the_failures_of_one_wave_do_not_count_in_the_next(stage: Stage) -> None:
    planned = waves_of(stage, failing=1)
    stage.work.errors[planned[4].target.workspace] = TerraformError("failed")

    results = stage.apply(
        planned, Wave(name="canary", max_failures=Tolerance(1)), Wave(name="middle", max_failures=Tolerance(1))
    )

    assert [number for number, result in enumerate(results) if result.status is Status.FAILED] == [0, 4]
    assert statuses(results).count(Status.APPLIED) == 10


def test_what_was_not_started_is_told_by_the_journal_and_may_be_applied_later(stage: Stage) -> None:
    planned = waves_of(stage, failing=1)
    stage.apply(planned, Wave(name="canary"))
    stage.work.errors.clear()

    told = stage.run.read().results
    results = stage.apply(told, Wave(name="canary", max_failures=Tolerance(1)))

    assert {result.reason for result in told[4:]} == {"1 of 4 targets failed in the wave canary"}
    assert [result.plan_sha256 for result in told[4:]] == [result.plan_sha256 for result in planned[4:]]
    assert statuses(results) == [Status.APPLIED] * 8


def test_a_plan_that_failed_counts_for_its_wave(stage: Stage) -> None:
    planned = waves_of(stage, failing=0)
    failed = replace(planned[0], status=Status.FAILED, plan_sha256="")

    results = stage.apply([failed, *planned[1:]], Wave(name="canary"), Wave(name="middle"))

    assert failed.target not in [result.target for result in results]
    assert set(statuses(results)) == {Status.NOT_STARTED}
    assert {result.reason for result in results} == {"1 of 4 targets failed in the wave canary"}
    assert stage.work.begun == []


def test_a_wave_begins_when_the_one_before_is_through(stage: Stage) -> None:
    planned = waves_of(stage, failing=0)

    stage.apply(planned, Wave(name="canary"), Wave(name="middle"), workers=8)

    waves = [int(event.split()[1]) // 10 for event in stage.work.order]
    assert waves == sorted(waves)


def test_targets_without_a_wave_tolerate_nothing(stage: Stage) -> None:
    planned = stage.plan(target(1), target(2, wave="after"))
    stage.work.errors = {target(1).workspace: TerraformError("failed")}

    results = stage.apply(planned)

    assert statuses(results) == [Status.FAILED, Status.NOT_STARTED]


def test_a_stop_in_an_apply_lets_finish_what_runs(stage: Stage) -> None:
    planned = stage.plan(target(1), target(1, OTHER), target(2, wave="after"))
    stage.work.on_begin = lambda _: stage.stop.set()

    results = stage.apply(planned, workers=1)

    assert statuses(results) == [Status.APPLIED, Status.NOT_STARTED, Status.NOT_STARTED]


def test_each_wave_is_asked_for_and_waited_for(stage: Stage) -> None:
    planned = waves_of(stage, failing=0)
    stage.options = RunOptions(wave_pause_seconds=0.05)
    asked: list[tuple[str, str]] = []

    def between(done: str, following: str) -> bool:
        asked.append((done, following))
        return following != "rest"

    begun = time.monotonic()
    results = stage.apply(planned, between=between)

    assert time.monotonic() - begun > 0.1
    assert asked == [("canary", "middle"), ("middle", "rest")]
    assert statuses(results) == [Status.APPLIED] * 8 + [Status.NOT_STARTED] * 4
    assert {result.reason for result in results[8:]} == {"the run was ended after the wave middle"}


def test_a_stop_ends_the_pause_between_waves(stage: Stage) -> None:
    planned = waves_of(stage, failing=0)
    stage.options = RunOptions(wave_pause_seconds=600)
    threading.Timer(0.1, stage.stop.set).start()

    results = stage.apply(planned, between=lambda _done, _next: pytest.fail("nobody is to be asked any more"))

    assert statuses(results) == [Status.APPLIED] * 4 + [Status.NOT_STARTED] * 8
    assert {result.reason for result in results[4:]} == {"the run was interrupted"}


def test_destruction_goes_from_the_last_wave_to_the_first_and_the_home_region_is_last(stage: Stage) -> None:
    targets = [target(1, wave="canary"), target(1, OTHER, "canary"), target(2, wave="rest"), target(2, OTHER, "rest")]
    planned = stage.plan(*targets)

    stage.apply(planned, workers=1, reverse=True)

    order = [targets[number].workspace for number in (3, 2, 1, 0)]
    assert stage.work.begun == order


# --- Failures in all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tolerance", "planned"), [(0, 1), (2, 3), ("25%", 3), (None, 10), ("100%", 10)])
def test_too_many_failures_in_all_stop_a_plan(stage: Stage, tolerance: int | str | None, planned: int) -> None:
    targets = [target(number) for number in range(10)]
    stage.options = RunOptions(max_failures=None if tolerance is None else Tolerance.parse(tolerance))
    stage.work.errors = {entry.workspace: TerraformError("failed") for entry in targets}

    results = stage.plan(*targets, workers=1)

    assert statuses(results) == [Status.FAILED] * planned + [Status.NOT_STARTED] * (10 - planned)
    if planned < 10:
        assert results[-1].reason == f"{planned} of all 10 targets failed (tolerated: {tolerance})"


def test_failed_plans_count_among_the_failures_in_all_of_an_apply(stage: Stage) -> None:
    planned = stage.plan(*(target(number) for number in range(5)))
    failed_plan = replace(planned[4], status=Status.FAILED)
    stage.options = RunOptions(max_failures=Tolerance(1))
    stage.work.errors = {target(1).workspace: TerraformError("failed")}

    results = stage.apply(
        [*planned[:4], failed_plan], Wave(name="rest", max_failures=Tolerance.parse("100%")), workers=1
    )

    assert statuses(results) == [Status.APPLIED, Status.FAILED, Status.NOT_STARTED, Status.NOT_STARTED]


def test_a_job_that_cannot_be_made_fails_its_target_only(stage: Stage) -> None:
    stage.impossible = {target(1).workspace: InputError("The settings do not fit.")}

    first, second = stage.plan(target(1), target(2))

    assert first.failure is not None
    assert (first.status, first.failure.kind, first.failure.message) == (
        Status.FAILED,
        "input",
        "The settings do not fit.",
    )
    assert second.status is Status.CHANGES
    assert [entry["event"] for entry in stage.journal() if entry["target"] == target(1).key] == ["started", "finished"]


# --- Retries -----------------------------------------------------------------------------------------------------

THROTTLED = TerraformError("terraform failed", ["operation error KMS: CreateKey, ThrottlingException: Rate exceeded"])


@pytest.fixture
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "wait_seconds", lambda _result, attempt: attempt / 1000)


def fails(stage: Stage, *errors: Exception | None) -> None:
    """Let the jobs fail one after another with these errors."""
    following = iter(errors)

    def begin(workspace: str) -> None:
        stage.work.errors.pop(workspace, None)
        if error := next(following, None):
            stage.work.errors[workspace] = error

    stage.work.on_begin = begin


@pytest.mark.usefixtures("_no_delay")
@pytest.mark.parametrize(("failing", "status"), [(0, Status.CHANGES), (3, Status.CHANGES), (4, Status.FAILED)])
def test_a_plan_is_tried_again_after_a_failure_that_passes_by_itself(
    stage: Stage, failing: int, status: Status
) -> None:
    fails(stage, *[THROTTLED] * failing)

    [result] = stage.plan(target(1))

    assert (result.status, result.attempts) == (status, min(failing + 1, 4))
    started = [entry["attempt"] for entry in stage.journal() if entry["event"] == "started"]
    assert started == list(range(1, result.attempts + 1))


@pytest.mark.usefixtures("_no_delay")
def test_what_does_not_pass_by_itself_is_not_tried_again(stage: Stage) -> None:
    fails(stage, TerraformError("failed", ["AccessDenied: not authorized"]))

    [result] = stage.plan(target(1))

    assert (result.status, result.attempts) == (Status.FAILED, 1)


@pytest.mark.usefixtures("_no_delay")
@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (CHANGES, Status.APPLIED),
        (ChangeSet(CHANGES.changes[:1]), Status.APPLIED),
        (None, Status.APPLIED),
        (ChangeSet((*CHANGES.changes, ResourceChange("create", "a.d"))), Status.FAILED),
        (ChangeSet((ResourceChange("replace", "a.b"),)), Status.FAILED),
    ],
    ids=["all", "part", "nothing", "more", "another action"],
)
def test_a_failed_apply_is_planned_again_and_applied_if_no_more_than_reviewed_is_left(
    stage: Stage, rest: ChangeSet | None, status: Status
) -> None:
    [planned] = stage.plan(target(1))
    workspace = target(1).workspace
    fails(stage, THROTTLED)
    if rest is None:
        stage.work.unchanged = {workspace}
    else:
        stage.work.changes = {workspace: rest}

    [result] = stage.apply([planned])

    steps = [(job.step, job.reviewed and job.reviewed.sha256) for job in stage.work.jobs]
    assert [job.verify for job in stage.work.jobs] == [False, True, True][: len(steps)]
    assert steps[:2] == [(Step.APPLY, planned.plan_sha256), (Step.PLAN, None)]
    assert (result.status, result.step, result.attempts) == (status, Step.APPLY, 2)
    if status is Status.FAILED:
        assert result.failure is not None
        assert result.failure.message.endswith("The remaining changes differ from the reviewed plan; plan again.")
        assert result.failure.diagnostics == THROTTLED.diagnostics
        assert steps[2:] == []
    elif rest is not None:
        assert steps[2:] == [(Step.APPLY, f"{2:064x}")]
    last = stage.journal()[-1]["result"]
    assert (last["status"], last["step"]) == (status, Step.APPLY)


def test_a_plan_that_adopts_is_made_again_with_what_it_adopts(stage: Stage) -> None:
    adopted = (Adoption("log_group", "logs"),)
    jobs: list[tuple[Adoption, ...]] = []
    perform = stage.work.__call__

    def work(job: Job) -> Performed:
        jobs.append(job.adopted)
        if job.adopted:
            return perform(job)
        again = TargetResult.build(job.target, Status.NOT_STARTED, job.step, reason=PLANNED_AGAIN, adopted=adopted)
        return Performed(again)

    stage.work = work  # type: ignore[assignment]
    [result] = stage.plan(target(1))

    assert jobs == [(), adopted]
    assert result.status is Status.CHANGES
    assert [entry["event"] for entry in stage.journal()].count("started") == 2


IN_USE = TerraformError("failed", ["api error DeleteConflict: Cannot delete a policy attached to entities."])
ATTACHED = (Attachment("arn:aws:iam::000000000001:policy/Sessions", "role", "WebServer"),)
POLICY = "module.instance_policy[0].aws_iam_policy.this"
DESTRUCTION = ChangeSet((ResourceChange("delete", "a.b"), ResourceChange("delete", POLICY)))
RENAMING = ChangeSet((ResourceChange("replace", POLICY), ResourceChange("update", "a.b")))
LEFT = ChangeSet((ResourceChange("delete", POLICY),))


@pytest.mark.parametrize("changes", [DESTRUCTION, RENAMING], ids=["destroy", "rename"])
def test_policies_are_detached_last_and_then_the_rest_is_applied(stage: Stage, changes: ChangeSet) -> None:
    stage.work.changes = {target(1).workspace: changes}
    [planned] = stage.plan(target(1))
    fails(stage, IN_USE)
    stage.work.changes = {target(1).workspace: LEFT}

    [result] = stage.apply([replace(planned, attachments=ATTACHED)])

    steps = [Step.APPLY, Step.DETACH, Step.PLAN, Step.APPLY]
    assert [job.step for job in stage.work.jobs] == steps
    assert [job.attachments for job in stage.work.jobs] == [ATTACHED] * 4
    assert result.status is Status.APPLIED
    state = stage.run.read()
    assert [entry["step"] for entry in stage.journal() if entry["event"] == "started"][1:] == steps
    assert [(entry.status, entry.detached) for entry in state.results] == [(Status.APPLIED, ATTACHED)]


def test_policies_are_detached_at_once_if_nothing_comes_before(stage: Stage) -> None:
    stage.work.changes = {target(1).workspace: LEFT}
    [planned] = stage.plan(target(1))

    [result] = stage.apply([replace(planned, attachments=ATTACHED)])

    assert [job.step for job in stage.work.jobs] == [Step.DETACH, Step.APPLY]
    assert result.status is Status.APPLIED


def test_a_detachment_that_fails_ends_the_target_and_is_planned_again_by_resume(stage: Stage) -> None:
    stage.work.changes = {target(1).workspace: DESTRUCTION}
    [planned] = stage.plan(target(1))
    fails(stage, IN_USE, InputError("The policy was attached to role Other after the plan was made."))

    [result] = stage.apply([replace(planned, attachments=ATTACHED)])

    assert (result.status, result.step) == (Status.FAILED, Step.DETACH)
    assert [job.step for job in stage.work.jobs] == [Step.APPLY, Step.DETACH]
    assert [entry.key for entry in unfinished(stage.run.read().results)] == [target(1).key]


@pytest.mark.parametrize("step", [Step.APPLY, Step.DETACH, Step.PLAN])
def test_a_run_that_is_killed_around_a_detachment_is_planned_again(stage: Stage, step: Step) -> None:
    stage.work.changes = {target(1).workspace: DESTRUCTION}
    [planned] = stage.plan(target(1))
    steps = {
        Step.APPLY: TargetResult.build(target(1), Status.FAILED, Step.APPLY),
        Step.DETACH: TargetResult.build(target(1), Status.UNFINISHED, Step.DETACH, detached=ATTACHED),
        Step.PLAN: planned,
    }
    for done, result in steps.items():
        stage.run.started(target(1), done, 2)
        if done is step:
            break
        stage.run.finished(result)

    state = stage.run.read()

    [left] = unfinished(state.results)
    assert (left.status, state.indeterminate) == (Status.UNFINISHED, {target(1).key})
    assert left.detached == (ATTACHED if step is Step.PLAN else ())


def test_a_policy_in_use_that_no_plan_listed_is_not_detached(stage: Stage) -> None:
    stage.work.changes = {target(1).workspace: DESTRUCTION}
    [planned] = stage.plan(target(1))
    fails(stage, IN_USE)

    [result] = stage.apply([planned])

    assert (result.status, [job.step for job in stage.work.jobs]) == (Status.FAILED, [Step.APPLY])


@pytest.mark.usefixtures("_no_delay")
def test_a_state_that_could_not_be_saved_is_never_planned_again_by_itself(stage: Stage) -> None:
    [planned] = stage.plan(target(1))
    fails(stage, TerraformError("failed", ["Failed to save state: connection reset by peer"]))

    [result] = stage.apply([planned])

    assert (result.status, len(stage.work.jobs)) == (Status.FAILED, 1)


def test_a_stop_ends_the_wait_for_another_attempt(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "wait_seconds", lambda _result, _attempt: 600)
    fails(stage, THROTTLED)
    threading.Timer(0.1, stage.stop.set).start()

    first, second = stage.plan(target(1), target(2), workers=1)

    assert first.status is Status.FAILED
    assert first.failure is not None
    assert second.status is Status.CHANGES


def test_a_worker_is_free_while_a_target_waits_for_another_attempt(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "wait_seconds", lambda _result, _attempt: 0.2)
    fails(stage, THROTTLED)

    stage.plan(target(1), target(2), target(3), workers=1)

    first, *others = (target(number).workspace for number in (1, 2, 3))
    assert stage.work.begun == [first, *others, first]


# --- What nobody expects -----------------------------------------------------------------------------------------


class GoneError(Exception):
    """An executor's word for a lost worker."""


def test_a_lost_worker_fails_its_target_and_nothing_is_done_twice(stage: Stage) -> None:
    stage.lost = (GoneError,)
    planned = stage.plan(target(1), target(2))
    stage.work.errors = {target(1).workspace: GoneError()}

    lost, other = stage.apply(planned)

    assert lost.failure is not None
    assert lost.failure.message == "The worker was lost while applying (GoneError); `resume` plans the target again."
    assert (lost.status, lost.failure.kind, other.status) == (Status.FAILED, "terraform", Status.APPLIED)
    assert stage.work.begun.count(target(1).workspace) == 1


def test_after_a_bug_what_runs_is_seen_to_its_end_and_nothing_more_is_started(stage: Stage) -> None:
    running = threading.Event()

    def begin(workspace: str) -> None:
        if workspace == target(1).workspace:
            assert running.wait(20)
            raise ZeroDivisionError
        running.set()
        time.sleep(0.1)

    stage.work.on_begin = begin
    with pytest.raises(ZeroDivisionError):
        stage.plan(*(target(number) for number in range(1, 9)), workers=2)

    assert len(stage.work.begun) < 8
    finished = {entry["target"] for entry in stage.journal() if entry["event"] == "finished"}
    assert finished == {entry.key for entry in map(target, range(1, 9)) if entry.workspace in stage.work.ended}


def test_a_journal_that_cannot_be_written_stops_the_run_with_a_sentence(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    stage.work.on_begin = lambda _workspace: monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(JournalError, match=r"journal\.jsonl cannot be written \(No space left on device\).*resume"):
        stage.plan(target(1), target(2), workers=1)

    monkeypatch.undo()
    assert stage.work.begun == [target(1).workspace]
    assert [result.status for result in stage.run.read().results][1] is Status.NOT_STARTED


# --- The end of the credentials ----------------------------------------------------------------------------------


def test_nothing_starts_after_the_credentials_have_expired(stage: Stage) -> None:
    stage.work.errors = {target(1).workspace: TerraformError("failed", ["ExpiredToken: The token is expired"])}

    failed, *others = stage.plan(target(1), target(2), target(3), workers=1)

    assert failed.failure is not None
    assert failed.failure.message == "The AWS credentials have expired; sign in again, and resume the run."
    assert statuses(others) == [Status.NOT_STARTED] * 2
    assert {other.reason for other in others} == {"the AWS credentials have expired: sign in again, and resume the run"}


def test_what_cannot_finish_before_the_credentials_end_is_not_started(stage: Stage) -> None:
    now = datetime.datetime(2027, 3, 31, 14, 0, tzinfo=datetime.UTC)
    stage.credentials = CredentialsEnd(now + datetime.timedelta(minutes=9), now=lambda: now)

    planned = stage.plan(target(1), target(2))
    applied = stage.apply(planned)

    assert statuses(planned) == [Status.CHANGES] * 2
    assert statuses(applied) == [Status.NOT_STARTED] * 2
    assert applied[0].reason == (
        "the AWS credentials are valid until 14:09 UTC, and an apply may take 10 minutes: sign in again, and resume "
        "the run"
    )
    assert with_changes(applied) == applied


def test_a_target_that_took_long_makes_the_next_one_need_longer() -> None:
    now = datetime.datetime(2027, 3, 31, 14, 0, tzinfo=datetime.UTC)
    credentials = CredentialsEnd(now + datetime.timedelta(minutes=15), now=lambda: now)
    assert credentials.reason(Step.APPLY) == ""

    credentials.observe(TargetResult.build(target(1), Status.APPLIED, Step.APPLY, seconds=600))

    assert "an apply may take 20 minutes" in credentials.reason(Step.APPLY)
    assert credentials.reason(Step.PLAN) == ""
    assert replace(credentials, most_seconds=60.0).reason(Step.APPLY) == ""
    assert CredentialsEnd().reason(Step.APPLY) == ""
