"""Schedule targets: waves, concurrency, tolerance, retries. Knows no user interface and no terraform flag."""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from session_manager_fleet.changes import ChangeSet
from session_manager_fleet.errors import FleetError
from session_manager_fleet.run.executors.base import Workers
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.job import Job, Performed, failed
from session_manager_fleet.run.results import Failure, Status, Step, TargetResult, is_pending
from session_manager_fleet.run.retry import ATTEMPTS, backoff_seconds, is_transient
from session_manager_fleet.settings import Tolerance, Wave
from session_manager_fleet.targets import Target

INTERRUPTED = "the run was interrupted"


class Observer(Protocol):
    """Is told what happens; never stops anything."""

    def begin(self, step: Step, targets: int) -> None:
        """A step starts for this many targets."""

    def started(self, target: Target, step: Step) -> None:
        """A target's step starts."""

    def finished(self, result: TargetResult) -> None:
        """A target's step is over."""

    def end(self) -> None:
        """The step is over for all targets."""


class MakeJob(Protocol):
    """Says what the job of a step of a target is."""

    def __call__(self, step: Step, target: Target, plan_sha256: str | None, *, again: bool) -> Job:
        """Return a job.

        Args:
            step: What to do.
            target: The target.
            plan_sha256: For an apply, the digest of the saved plan.
            again: An apply of this target has failed before.

        Raises:
            FleetError: There is no such job; this is the target's failure then.
        """


@dataclass(frozen=True)
class Limits:
    """How much at once, and how much may go wrong.

    Attributes:
        plan_workers: Concurrent plans.
        apply_workers: Concurrent applies.
        max_failures: Failed targets in all that are tolerated, as a number or a percentage; None for any number.
        wave_pause_seconds: How long to wait between two waves.
    """

    plan_workers: int
    apply_workers: int
    max_failures: int | str | None = None
    wave_pause_seconds: float = 0.0

    def exceeded(self, failures: int, targets: int) -> str:
        """Return why nothing more may be started, or nothing."""
        if self.max_failures is None or not Tolerance.parse(self.max_failures).exceeded_by(failures, targets):
            return ""
        return f"{failures} of all {targets} targets failed, and {self.max_failures} are tolerated"


@dataclass
class _WaveCount:
    """How many targets of the wave that is worked on have failed, in the plan or in the apply."""

    wave: Wave
    targets: int
    failures: int

    @property
    def exceeded(self) -> str:
        """Why nothing more of it may be started, nor any later wave, or nothing."""
        if not self.wave.max_failures.exceeded_by(self.failures, self.targets):
            return ""
        return f"{self.failures} of {self.targets} targets failed in the wave {self.wave.name}"


@dataclass(frozen=True)
class _Task:
    """One attempt at one step of a target."""

    step: Step
    target: Target
    plan_sha256: str | None = None
    attempt: int = 1
    delay_seconds: float = 0.0
    again: bool = False


# Yields the attempts at a sequence of targets, is sent the result of each, and tells what became of the targets.
_Line = Generator[_Task, TargetResult, None]


class Scheduler:
    """Plans and applies the targets of a run as jobs of an executor.

    Everything but the jobs happens in the thread of the caller, so that journal and observer need no lock.

    Args:
        run: Where everything is kept.
        workers: Where jobs are done.
        make_job: Says what the job of a step is.
        observer: Is told about progress.
        stop: Once set, no further target is started.
        limits: How much at once, and how much may go wrong.
    """

    def __init__(
        self,
        *,
        run: RunFolder,
        workers: Workers,
        make_job: MakeJob,
        observer: Observer,
        stop: threading.Event,
        limits: Limits,
    ) -> None:
        self._run = run
        self._workers = workers
        self._make_job = make_job
        self._observer = observer
        self._stop = stop
        self._limits = limits
        self._results: dict[str, TargetResult] = {}
        self._change_sets: dict[str, ChangeSet] = {}
        self._failures = 0
        self._targets = 0
        self._wave: _WaveCount | None = None

    def plan(self, targets: Sequence[Target]) -> list[TargetResult]:
        """Plan all targets; one that fails does not stop the others, unless more fail than are tolerated in all."""
        self._begin(targets=len(targets), failures=0)
        self._run_lines(Step.PLAN, [self._plans(target) for target in targets], len(targets), self._limits.plan_workers)
        return [self._results[target.key] for target in targets]

    def apply(
        self,
        planned: Sequence[TargetResult],
        waves: Sequence[Wave],
        between: Callable[[str, str], bool] = lambda _done, _next: True,
        *,
        reverse: bool = False,
    ) -> list[TargetResult]:
        """Apply the saved plans of the targets with changes, and return a result for each of these.

        It goes wave by wave, the regions of an account one after another, home region first. When more targets of a
        wave have failed than it tolerates, whether in the plan or in the apply, nothing more is started, neither of
        this wave nor of later ones.

        Args:
            planned: What the plans found, in the order of the waves.
            waves: How many failures each wave tolerates.
            between: Is asked before a wave, with the names of the one before and of this one, whether to go on.
            reverse: Go from the last wave to the first, home region last: the order in which to destroy.
        """
        entries = {entry.target: entry for entry in planned}
        self._begin(targets=len(entries), failures=_failures(planned))
        tolerance = {wave.name: wave for wave in waves}
        order = _by_wave(entries)
        done, blocked = "", ""
        applied: list[Target] = []
        for name, targets in reversed(order) if reverse else order:
            pending = [target for target in targets if is_pending(entries[target])]
            applied.extend(pending)
            wave = tolerance.get(name) or Wave(name=name)
            self._wave = _WaveCount(wave, len(targets), _failures(entries[target] for target in targets))
            blocked = blocked or self._wave.exceeded
            if pending and done and not blocked:
                blocked = self._pause(done, name, between)
            if blocked:
                for target in pending:
                    self._settle(_not_started(target, Step.APPLY, blocked))
            elif pending:
                chains = _by_account(pending, home_first=not reverse)
                lines = [self._applies([entries[target] for target in chain]) for chain in chains]
                self._run_lines(Step.APPLY, lines, len(pending), self._limits.apply_workers)
                blocked, done = self._wave.exceeded, name
        return [self._results[target.key] for target in applied]

    def _begin(self, *, targets: int, failures: int) -> None:
        self._results, self._targets, self._failures, self._wave = {}, targets, failures, None

    def _pause(self, done: str, following: str, between: Callable[[str, str], bool]) -> str:
        """Wait and ask before a wave, and return why it may not be started, or nothing."""
        if not self._halted():
            self._stop.wait(self._limits.wave_pause_seconds)
        if reason := self._halted():
            return reason
        return "" if between(done, following) else f"the run was ended after the wave {done}"

    def _halted(self) -> str:
        """Return why nothing more may be started, or nothing."""
        if self._stop.is_set():
            return INTERRUPTED
        return self._limits.exceeded(self._failures, self._targets) or (self._wave.exceeded if self._wave else "")

    def _settle(self, result: TargetResult) -> None:
        """Keep what became of a target."""
        self._results[result.key] = result
        if result.status is Status.FAILED:
            self._failures += 1
            if self._wave:
                self._wave.failures += 1
        if result.status is Status.NOT_STARTED:
            self._run.finished(result)
        else:
            self._observer.finished(result)

    # --- What is done to targets, one attempt after another ------------------------------------------------------

    def _plans(self, target: Target) -> _Line:
        result = yield _Task(Step.PLAN, target)
        for attempt in range(2, ATTEMPTS + 1):
            if not is_transient(result):
                break
            again = yield _Task(Step.PLAN, target, attempt=attempt, delay_seconds=backoff_seconds(attempt))
            if again.status is Status.NOT_STARTED:
                break
            result = again
        self._settle(result)

    def _applies(self, chain: Sequence[TargetResult]) -> _Line:
        for planned in chain:
            self._settle((yield from self._applied(planned)))

    def _applied(self, planned: TargetResult) -> Generator[_Task, TargetResult, TargetResult]:
        """Apply a saved plan; what is left after a failure that passes by itself is planned anew."""
        target = planned.target
        result = yield _Task(Step.APPLY, target, planned.plan_sha256)
        for attempt in range(2, ATTEMPTS + 1):
            if not is_transient(result):
                break
            delay = backoff_seconds(attempt)
            rest = yield _Task(Step.PLAN, target, attempt=attempt, delay_seconds=delay, again=True)
            if rest.status is Status.NOT_STARTED:
                break
            if rest.status is Status.FAILED:
                result = rest
            elif rest.status is Status.NO_CHANGES:
                return self._done(replace(rest, status=Status.APPLIED, step=Step.APPLY))
            elif not _is_rest(rest.change_set, planned.change_set):
                return self._done(_refused(result, attempt))
            else:
                again = yield _Task(Step.APPLY, target, rest.plan_sha256, attempt=attempt, again=True)
                if again.status is Status.NOT_STARTED:
                    break
                result = again
        return result

    def _done(self, result: TargetResult) -> TargetResult:
        """Note a result that is not that of the last attempt as it is."""
        self._run.finished(result)
        return result

    # --- The executor --------------------------------------------------------------------------------------------

    def _run_lines(self, step: Step, lines: Sequence[_Line], targets: int, workers: int) -> None:
        """Run lines of tasks to their end, at most so many tasks at once, the first lines first."""
        agenda = _Agenda(lines)
        running: dict[Future[Performed], tuple[int, _Task]] = {}
        ended: queue.SimpleQueue[Future[Performed]] = queue.SimpleQueue()
        self._observer.begin(step, targets)
        try:
            while running or agenda:
                # What runs is awaited first: how it ends may be part of the reason.
                while agenda and not running and (reason := self._halted()):
                    number, task = agenda.take()
                    agenda.answer(number, _not_started(task.target, task.step, reason))
                while len(running) < workers and agenda.seconds == 0 and not self._halted():
                    number, task = agenda.take()
                    future = self._start(task)
                    running[future] = (number, task)
                    future.add_done_callback(ended.put)
                if not running:
                    # Whatever is left waits for another attempt, if anything is.
                    self._stop.wait(agenda.seconds if agenda else 0)
                    continue
                with suppress(queue.Empty):
                    idle = len(running) < workers and not self._halted()
                    future = ended.get(timeout=agenda.seconds if idle else None)
                    number, task = running.pop(future)
                    agenda.answer(number, self._finish(task, future))
        finally:
            # After an error that is nobody's result, what runs is still seen to its end.
            for future in wait(running).done:
                with suppress(Exception):
                    self._finish(running[future][1], future)
            self._observer.end()

    def _start(self, task: _Task) -> Future[Performed]:
        """Start an attempt; where that is not possible, the future holds the reason."""
        target, step = task.target, task.step
        self._run.started(target, step, task.attempt)
        self._observer.started(target, step)
        future: Future[Performed] = Future()
        try:
            job = self._make_job(step, target, task.plan_sha256, again=task.again)
            return self._workers.submit(job)
        except (FleetError, OSError) as error:
            future.set_result(Performed(failed(target, step, error, self._run.path)))
        except self._workers.lost as error:
            future.set_exception(error)
        return future

    def _finish(self, task: _Task, future: Future[Performed]) -> TargetResult:
        """Return the result of an attempt, which is in the journal then."""
        try:
            performed = future.result()
        except self._workers.lost as error:
            performed = Performed(_lost(task, error))
        changes = performed.result.change_set
        if changes is not None:
            # Thousands of targets share a few change sets.
            changes = self._change_sets.setdefault(changes.fingerprint, changes)
        result = replace(performed.result, attempts=task.attempt, change_set=changes)
        if performed.artifacts is not None:
            self._run.keep(task.target, performed.artifacts)
        self._run.finished(result)
        return result


class _Agenda:
    """What is to be done next on lines of tasks."""

    def __init__(self, lines: Sequence[_Line]) -> None:
        self._lines = lines
        self._waiting: list[tuple[float, int, _Task]] = []
        for number, line in enumerate(lines):
            self._waiting.append((0.0, number, next(line)))

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def seconds(self) -> float | None:
        """How long until the next task is due; None without a task."""
        return max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None

    def take(self) -> tuple[int, _Task]:
        """Return the task that is due first, and the number of its line."""
        _, number, task = heapq.heappop(self._waiting)
        return number, task

    def answer(self, number: int, result: TargetResult) -> None:
        """Tell a line the result of its task, and take up what it wants to do next."""
        try:
            task = self._lines[number].send(result)
        except StopIteration:
            return
        due = time.monotonic() + task.delay_seconds if task.delay_seconds else 0.0
        heapq.heappush(self._waiting, (due, number, task))


def _lost(task: _Task, error: BaseException) -> TargetResult:
    """Return the result for a job whose worker is gone: nobody knows how far it came, so it is not done again here."""
    doing = {Step.PLAN: "planning", Step.APPLY: "applying"}[task.step]
    message = f"It was {doing} when its worker was lost ({type(error).__name__}); `resume` plans it again."
    return TargetResult.build(task.target, Status.FAILED, task.step, failure=Failure("terraform", message))


def _refused(failure: TargetResult, attempt: int) -> TargetResult:
    """Return the result of an apply that failed and whose remaining changes nobody has reviewed."""
    assert failure.failure is not None  # noqa: S101 - only what failed is planned again
    message = f"{failure.failure.message} What is left to do differs from what was planned: plan again."
    return replace(failure, failure=replace(failure.failure, message=message), attempts=attempt)


def _is_rest(rest: ChangeSet | None, planned: ChangeSet | None) -> bool:
    """Tell whether all that is left was planned; values that are known by now may make changes look different."""
    if rest is None or planned is None:
        return False
    left, meant = ({(change.action, change.address) for change in changes.changes} for changes in (rest, planned))
    return left <= meant


def _failures(results: Iterable[TargetResult]) -> int:
    return sum(result.status is Status.FAILED for result in results)


def _not_started(target: Target, step: Step, reason: str) -> TargetResult:
    return TargetResult.build(target, Status.NOT_STARTED, step, reason=reason)


def _by_wave(targets: Iterable[Target]) -> list[tuple[str, list[Target]]]:
    waves: dict[str, list[Target]] = {}
    for target in targets:
        waves.setdefault(target.wave, []).append(target)
    return list(waves.items())


def _by_account(targets: Iterable[Target], *, home_first: bool) -> list[list[Target]]:
    """Chain the targets of each account: IAM is global, and the home region holds what exists once per account."""
    accounts: dict[str, list[Target]] = {}
    for target in targets:
        accounts.setdefault(target.account.id, []).append(target)
    return [sorted(chain, key=lambda target: target.is_home is not home_first) for chain in accounts.values()]
