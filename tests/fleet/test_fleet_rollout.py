"""Scheduling: order, concurrency, waves, failures and interruption, with a terraform that does as it is told."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import TerraformError
from fleet.journal import RunFolder, SavedTarget, Status, Step, TargetResult
from fleet.organization import Account
from fleet.rollout import Rollout, data_folder, initialize
from fleet.settings import Settings, Wave
from fleet.targets import Target
from fleet.terraform import PlanOutcome, Terraform
from fleet.tfvars import TfvarsRenderer

HOME, OTHER = "eu-west-1", "us-east-1"
RENDERER = TfvarsRenderer("organization.yaml")


def target(number: int, region: str = HOME, wave: str = "rest") -> Target:
    return Target(Account(f"{number:012}", f"account {number}"), region, HOME, wave)


class ObedientTerraform(Terraform):
    """Does for every workspace what the test wants, and notes what was asked of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(binary="/bin/false", root=folder, data_folder=folder, environment={})
        self.errors: dict[str, Exception] = {}
        self.unchanged: set[str] = set()
        self.on_begin: Callable[[str], object] = lambda workspace: None  # noqa: ARG005
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.order: list[str] = []
        self.interrupted = 0
        self.initialized: list[tuple[Mapping[str, str], Path]] = []

    def init(self, backend: Mapping[str, str], log: Path) -> None:
        self.initialized.append((backend, log))

    def plan(self, workspace: str, variables: Path, plan: Path, log: Path) -> PlanOutcome:
        assert variables.is_file()
        log.touch()
        self._work(workspace)
        plan.write_text(f"plan of {workspace}")
        return PlanOutcome(changed=workspace not in self.unchanged, add=1)

    def show(self, plan: Path, log: Path) -> dict[str, Any]:  # noqa: ARG002 - the real one's signature
        change = {"actions": ["create"], "before": None, "after": {"from": plan.read_text()}}
        return {"resource_changes": [{"address": "a.b", "change": change}]}

    def apply(self, workspace: str, plan: Path, log: Path) -> None:  # noqa: ARG002 - the real one's signature
        assert plan.read_text() == f"plan of {workspace}"
        self._work(workspace)

    def interrupt(self) -> None:
        self.interrupted += 1

    def _work(self, workspace: str) -> None:
        self.begun.append(workspace)
        self.order.append(f"begin {workspace}")
        self.on_begin(workspace)
        self.order.append(f"end {workspace}")
        if workspace in self.errors:
            raise self.errors[workspace]
        self.ended.append(workspace)


class Watcher:
    """An observer that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, step: Step, targets: int) -> None:
        self.told.append(f"begin {step} {targets}")

    def started(self, target: Target, step: Step) -> None:
        self.told.append(f"started {step} {target.key}")

    def finished(self, result: TargetResult) -> None:
        self.told.append(f"finished {result.target.key} {result.status}")

    def end(self) -> None:
        self.told.append("end")


class Stage:
    """A rollout with everything around it."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.run = RunFolder.create(folder / "runs")
        self.terraform = ObedientTerraform(folder)
        self.observer = Watcher()
        self.stop = threading.Event()
        self.settings = settings
        self.rollout = Rollout(self.run, {HOME: self.terraform, OTHER: self.terraform}, self.observer, self.stop)

    def plan(self, *targets: Target, workers: int = 4) -> list[TargetResult]:
        return self.rollout.plan(targets, self.settings, RENDERER, workers)

    def apply(
        self, planned: Sequence[TargetResult | SavedTarget], *waves: Wave, workers: int = 4
    ) -> list[TargetResult]:
        self.terraform.begun.clear()
        self.terraform.ended.clear()
        self.terraform.order.clear()
        return self.rollout.apply(planned, waves, workers)

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run.path / "journal.jsonl").read_text().splitlines()]


@pytest.fixture
def stage(tmp_path: Path, make_settings: Callable[[str], Settings]) -> Stage:
    return Stage(tmp_path, make_settings(""))


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

    stage.terraform.on_begin = begin
    results = stage.plan(*targets, workers=2)

    assert [result.target for result in results] == targets
    assert stage.terraform.ended[-1] == targets[0].workspace


def test_the_result_of_a_plan(stage: Stage) -> None:
    stage.terraform.unchanged = {target(2).workspace}

    changed, unchanged = stage.plan(target(1), target(2))

    assert (changed.status, changed.step, changed.outcome) == (
        Status.CHANGES,
        Step.PLAN,
        PlanOutcome(changed=True, add=1),
    )
    assert changed.change_set is not None
    assert "plan of <account>" in changed.change_set.changes[0].detail
    assert len(changed.plan_sha256) == 64
    assert (unchanged.status, unchanged.change_set, unchanged.plan_sha256) == (Status.NO_CHANGES, None, "")


def test_everything_of_a_target_is_private(stage: Stage) -> None:
    stage.plan(target(1))

    folder = stage.run.path / "000000000001" / HOME
    written = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert written.keys() >= {"terraform.tfvars", "tfplan", "plan.json"}
    assert {name: mode for name, mode in written.items() if name in {"terraform.tfvars", "plan.json"}} == {
        "terraform.tfvars": 0o600,
        "plan.json": 0o600,
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert '"000000000001"' in (folder / "terraform.tfvars").read_text()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (TerraformError("terraform plan failed. Log: x", ["Error: a"]), "terraform", "terraform plan failed. Log: x"),
        (
            TerraformError("failed", ["Cannot assume IAM Role (provider.tf:12): not authorized: sts:AssumeRole"]),
            "access",
            "The account could not be entered.",
        ),
        (
            TerraformError("failed", ["No valid credential sources found"]),
            "access",
            "The account could not be entered.",
        ),
        (
            TerraformError("failed", ["api error ExpiredToken: The security token is expired"]),
            "access",
            "The account could not be entered.",
        ),
        (TerraformError("failed", ["AWS account ID not allowed: 1"]), "access", "The account could not be entered."),
        (OSError(28, "No space left on device"), "input", "[Errno 28] No space left on device"),
    ],
)
def test_a_target_that_fails_is_told_and_stops_no_other(
    stage: Stage, error: Exception, kind: str, message: str
) -> None:
    stage.terraform.errors = {target(1).workspace: error}

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


def test_settings_that_do_not_fit_fail_their_target_only(
    tmp_path: Path, make_settings: Callable[[str], Settings]
) -> None:
    stage = Stage(
        tmp_path,
        make_settings("""
            overrides: [{match: {accounts: ["000000000001"]}, set: {preferences: {max_session_duration: 5}}}]
            """),
    )

    failed, other = stage.plan(target(1), target(2))

    assert failed.failure is not None
    assert failed.failure.kind == "input"
    assert "For 000000000001 (account 1) in eu-west-1: max_session_duration must be greater" in failed.failure.message
    assert other.status is Status.CHANGES
    assert stage.terraform.begun == [target(2).workspace]


def test_a_bug_is_not_taken_for_a_result(stage: Stage) -> None:
    stage.terraform.errors = {target(1).workspace: ZeroDivisionError()}

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

    stage.terraform.on_begin = begin
    stage.plan(*(target(number) for number in range(1, 10)), workers=3)

    assert most == 3


def test_observer_and_journal_are_told_of_every_target(stage: Stage) -> None:
    stage.terraform.errors = {target(2).workspace: TerraformError("failed")}

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

    stage.terraform.on_begin = begin
    results = stage.plan(*(target(number) for number in range(1, 5)), workers=1)

    assert statuses(results) == [Status.CHANGES, Status.CHANGES, Status.NOT_STARTED, Status.NOT_STARTED]
    assert {result.reason for result in results[2:]} == {"the run was interrupted"}
    assert len(stage.journal()) == 4


def test_an_interruption_reaches_the_terraform_of_every_region(stage: Stage) -> None:
    stage.rollout.interrupt()

    assert stage.terraform.interrupted == 2


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
        of_account = [event for event in stage.terraform.order if event.split()[1] in {home, other}]
        assert of_account == [f"begin {home}", f"end {home}", f"begin {other}", f"end {other}"]


def test_accounts_are_worked_on_at_the_same_time(stage: Stage) -> None:
    planned = stage.plan(target(1), target(2), target(3))
    meeting = threading.Barrier(3, timeout=20)
    stage.terraform.on_begin = lambda _: meeting.wait()

    assert set(statuses(stage.apply(planned, workers=3))) == {Status.APPLIED}


def test_a_failed_home_region_stops_neither_the_other_regions_nor_the_other_accounts(stage: Stage) -> None:
    planned = stage.plan(target(1), target(1, OTHER), target(2))
    stage.terraform.errors = {target(1).workspace: TerraformError("failed", ["Error: denied"])}

    results = {result.target.key: result for result in stage.apply(planned)}

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
    stage.terraform.errors = {entry.workspace: TerraformError("failed") for entry in targets[:failing]}
    return planned


@pytest.mark.parametrize(
    ("tolerance", "failing", "goes_on"),
    [(0, 0, True), (0, 1, False), (1, 1, True), (1, 2, False), ("25%", 1, True), ("25%", 2, False), ("100%", 4, True)],
)
def test_a_wave_beyond_its_tolerance_stops_the_later_ones(
    stage: Stage, tolerance: int | str, failing: int, goes_on: bool
) -> None:
    planned = waves_of(stage, failing)

    results = stage.apply(planned, Wave(name="canary", max_failures=tolerance), Wave(name="middle"))

    canary, later = results[:4], results[4:]
    assert statuses(canary).count(Status.FAILED) == failing
    assert statuses(canary).count(Status.APPLIED) == 4 - failing
    if goes_on:
        assert set(statuses(later)) == {Status.APPLIED}
    else:
        assert set(statuses(later)) == {Status.NOT_STARTED}
        assert {result.reason for result in later} == {f"{failing} of 4 targets failed in the wave canary"}
        assert len(stage.terraform.begun) == 4


def test_a_plan_that_failed_counts_for_its_wave(stage: Stage) -> None:
    planned = waves_of(stage, failing=0)
    failed = replace(planned[0], status=Status.FAILED, plan_sha256="")

    results = stage.apply([failed, *planned[1:]], Wave(name="canary"), Wave(name="middle"))

    assert failed.target not in [result.target for result in results]
    assert statuses(results[:3]) == [Status.APPLIED] * 3
    assert set(statuses(results[3:])) == {Status.NOT_STARTED}
    assert {result.reason for result in results[3:]} == {"1 of 4 targets failed in the wave canary"}


def test_applying_a_saved_run_keeps_what_its_plans_found(stage: Stage) -> None:
    planned = waves_of(stage, failing=0)
    unchanged = replace(planned[0], status=Status.NO_CHANGES)
    stage.run.write_summary(command="plan", exit_code=2, results=[unchanged, *planned[1:]], skipped=[])
    before = json.loads((stage.run.path / "summary.json").read_text())

    results = stage.apply(stage.run.saved_targets(), Wave(name="canary"))
    stage.run.amend_summary(command="apply", exit_code=0, results=results)

    after = json.loads((stage.run.path / "summary.json").read_text())
    assert [entry["status"] for entry in after["targets"]] == ["no_changes", *["applied"] * (len(planned) - 1)]
    assert after["totals"]["applied"] == len(planned) - 1
    assert after["totals"]["no_changes"] == 1
    assert (after["command"], after["exit_code"]) == ("apply", 0)
    assert after["change_sets"] == before["change_sets"]
    for old, new in zip(before["targets"], after["targets"], strict=True):
        assert (old["fingerprint"], old["plan_sha256"]) == (new["fingerprint"], new["plan_sha256"])


def test_a_wave_begins_when_the_one_before_is_through(stage: Stage) -> None:
    planned = waves_of(stage, failing=0)

    stage.apply(planned, Wave(name="canary"), Wave(name="middle"), workers=8)

    waves = [int(event.split()[1]) // 10 for event in stage.terraform.order]
    assert waves == sorted(waves)


def test_targets_without_a_wave_tolerate_nothing(stage: Stage) -> None:
    planned = stage.plan(target(1), target(2, wave="after"))
    stage.terraform.errors = {target(1).workspace: TerraformError("failed")}

    results = stage.apply(planned)

    assert statuses(results) == [Status.FAILED, Status.NOT_STARTED]


def test_a_stop_in_an_apply_lets_finish_what_runs(stage: Stage) -> None:
    planned = stage.plan(target(1), target(1, OTHER), target(2, wave="after"))
    stage.terraform.on_begin = lambda _: stage.stop.set()

    results = stage.apply(planned, workers=1)

    assert statuses(results) == [Status.APPLIED, Status.NOT_STARTED, Status.NOT_STARTED]


@pytest.mark.parametrize("tampering", ["changed", "missing", "folder"])
def test_a_plan_that_is_not_the_one_that_was_made_is_refused(stage: Stage, tampering: str) -> None:
    planned = stage.plan(target(1), target(2))
    plan = stage.run.plan(target(1))
    if tampering == "changed":
        plan.write_text(f"plan of {target(1).workspace} ")
    else:
        plan.unlink()
        if tampering == "folder":
            plan.mkdir()

    failed, other = stage.apply(planned)

    assert failed.failure is not None
    assert failed.failure.message == f"The saved plan {plan} is missing or not the one that was made; plan again."
    assert other.status is Status.APPLIED
    assert stage.terraform.begun == [target(2).workspace]


def test_a_result_without_a_digest_is_not_applied(stage: Stage) -> None:
    [planned] = stage.plan(target(1))

    [result] = stage.apply([replace(planned, plan_sha256="")])

    assert result.status is Status.FAILED
    assert stage.terraform.begun == []


def test_a_saved_run_can_be_applied_from_its_folder(stage: Stage) -> None:
    planned = stage.plan(target(1), target(1, OTHER))
    stage.run.write_summary(command="plan", exit_code=2, results=planned, skipped=[])

    results = stage.apply(RunFolder(stage.run.path).saved_targets())

    assert statuses(results) == [Status.APPLIED] * 2
    assert stage.terraform.begun == [target(1).workspace, target(1, OTHER).workspace]


# --- Initialization ----------------------------------------------------------------------------------------------


def test_one_initialization_for_each_region(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "runs")
    made: dict[str, ObedientTerraform] = {}

    def make(region: str) -> Terraform:
        return made.setdefault(region, ObedientTerraform(tmp_path))

    initialized = initialize([OTHER, HOME, OTHER, HOME], make, lambda region: {"prefix": region}, run)

    assert list(initialized) == [OTHER, HOME]
    assert {region: terraform.initialized for region, terraform in made.items()} == {
        region: [({"prefix": region}, run.path / f"init-{region}.log")] for region in (OTHER, HOME)
    }
    assert data_folder(run, HOME) != data_folder(run, OTHER)
    assert data_folder(run, HOME).is_relative_to(run.path)
