"""Schedule targets: waves, concurrency, tolerance, retries. Independent of the user interface and of terraform."""

import heapq
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from session_manager_fleet.accounts import LOG_ARCHIVE
from session_manager_fleet.changes import ChangeSet
from session_manager_fleet.errors import FleetError
from session_manager_fleet.run.credentials import CredentialsEnd
from session_manager_fleet.run.executors.base import Workers
from session_manager_fleet.run.executors.capacity import Capacity
from session_manager_fleet.run.failures import failed
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.job import PLANNED_AGAIN
from session_manager_fleet.run.job_description import Job, Performed
from session_manager_fleet.run.options import RunOptions
from session_manager_fleet.run.results import Failure, Status, Step, TargetResult, is_pending
from session_manager_fleet.run.retry import ATTEMPTS, is_in_use, is_transient, named, wait_seconds
from session_manager_fleet.settings import FOUNDATION, Wave
from session_manager_fleet.targets import Target

INTERRUPTED = "the run was interrupted"


class Observer(Protocol):
    """Receives the progress of a run."""

    def begin(self, step: Step, targets: int) -> None:
        """A step starts for this many targets."""

    def started(self, target: Target, step: Step) -> None:
        """A target's step starts."""

    def finished(self, result: TargetResult) -> None:
        """A target's step is over."""

    def end(self) -> None:
        """The step is over for all targets."""


class MakeJob(Protocol):
    """Makes the job of a step of a target."""

    def __call__(self, step: Step, target: Target, planned: TargetResult | None, *, again: bool) -> Job:
        """Return a job.

        Args:
            step: What to do.
            target: The target.
            planned: The result of the plan; for another plan, of the one before, and None for the first one.
            again: An apply of this target has failed before.

        Raises:
            FleetError: The job cannot be made, which fails the target.
        """


@dataclass
class _WaveCount:
    """Failed targets of the current wave, in the plan or in the apply."""

    wave: Wave
    targets: int
    failures: int

    @property
    def exceeded(self) -> str:
        """Reason to start neither more targets of it nor any later wave; empty if there is none."""
        if not self.wave.max_failures.exceeded_by(self.failures, self.targets):
            return ""
        return f"{self.failures} of {self.targets} targets failed in the wave {self.wave.name}"


@dataclass(frozen=True)
class _Task:
    """One attempt at one step of a target."""

    step: Step
    target: Target
    planned: TargetResult | None = None
    attempt: int = 1
    delay_seconds: float = 0.0
    again: bool = False


# Yields the attempts at a sequence of targets, receives the result of each, and settles the results of the targets.
_Steps = Generator[_Task, TargetResult, None]


class Scheduler:
    """Plans and applies the targets of a run as jobs of an executor.

    Everything except the jobs runs in the thread of the caller, so that journal and observer need no lock.
    Once `stop` is set, no further target is started.
    """

    def __init__(
        self,
        *,
        run: RunFolder,
        workers: Workers,
        make_job: MakeJob,
        observer: Observer,
        stop: threading.Event,
        capacity: Capacity,
        options: RunOptions,
        credentials: CredentialsEnd | None = None,
    ) -> None:
        self._run = run
        self._workers = workers
        self._make_job = make_job
        self._observer = observer
        self._stop = stop
        self._capacity = capacity
        self._options = options
        self._credentials = credentials or CredentialsEnd()
        self._step = Step.PLAN
        self._results: dict[str, TargetResult] = {}
        self._change_sets: dict[str, ChangeSet] = {}
        self._failures = 0
        self._targets = 0
        self._wave: _WaveCount | None = None

    def plan(self, targets: Sequence[Target]) -> list[TargetResult]:
        """Plan all targets; a failed one does not stop the others, unless more fail than are tolerated in all."""
        self._begin(targets=len(targets), failures=0)
        self._run_steps(
            Step.PLAN, [self._plans(target) for target in targets], len(targets), self._capacity.plan_workers
        )
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

        Waves run one after another, and so do the regions of an account, home region first. Once more targets of a
        wave have failed than it tolerates, in the plan or in the apply, no further target of this wave or a later one
        is started.

        Args:
            planned: Results of the plans, in the order of the waves.
            waves: Waves with their tolerances.
            between: Called with the names of the finished and of the next wave; returns whether to continue.
            reverse: From the last wave to the first, home region last, as for destroy.
        """
        self._step = Step.APPLY
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
                sequences = [self._applies([entries[target] for target in chain]) for chain in chains]
                self._run_steps(Step.APPLY, sequences, len(pending), self._capacity.apply_workers)
                blocked, done = self._wave.exceeded, name
        return [self._results[target.key] for target in applied]

    def _begin(self, *, targets: int, failures: int) -> None:
        self._results, self._targets, self._failures, self._wave = {}, targets, failures, None

    def _pause(self, done: str, following: str, between: Callable[[str, str], bool]) -> str:
        """Wait and ask before a wave, and return the reason not to start it; empty if there is none."""
        if not self._halted():
            self._stop.wait(self._options.wave_pause_seconds)
        if reason := self._halted():
            return reason
        return "" if between(done, following) else f"the run was ended after the wave {done}"

    def _halted(self) -> str:
        """Return the reason not to start another target; empty if there is none."""
        if self._stop.is_set():
            return INTERRUPTED
        tolerance = self._options.max_failures
        if tolerance is not None and tolerance.exceeded_by(self._failures, self._targets):
            return f"{self._failures} of all {self._targets} targets failed (tolerated: {tolerance})"
        if self._wave and self._wave.exceeded:
            return self._wave.exceeded
        ending = self._credentials.reason(self._step)
        return f"{ending}: sign in again, and resume the run" if ending else ""

    def _settle(self, result: TargetResult) -> None:
        """Keep the final result of a target."""
        self._results[result.key] = result
        if result.status is Status.FAILED:
            self._failures += 1
            if self._wave:
                self._wave.failures += 1
        if result.status is Status.NOT_STARTED:
            self._run.finished(result)
        else:
            self._observer.finished(result)

    # --- The steps of targets, one attempt after another ---------------------------------------------------------

    def _plans(self, target: Target) -> _Steps:
        result = yield _Task(Step.PLAN, target)
        for attempt in range(2, ATTEMPTS + 1):
            if result.reason == PLANNED_AGAIN:
                again = yield _Task(Step.PLAN, target, result, attempt=attempt)
            elif is_transient(result):
                again = yield _Task(Step.PLAN, target, attempt=attempt, delay_seconds=wait_seconds(result, attempt))
            else:
                break
            if again.status is Status.NOT_STARTED and again.reason != PLANNED_AGAIN:
                break
            result = again
        self._settle(result)

    def _applies(self, chain: Sequence[TargetResult]) -> _Steps:
        for planned in chain:
            self._settle((yield from self._applied(planned)))

    def _applied(self, planned: TargetResult) -> Generator[_Task, TargetResult, TargetResult]:
        """Apply a saved plan; after a transient failure, plan again and apply the rest.

        Policies are deleted last. What they are attached to outside of Terraform is detached only then, so that roles
        keep their permissions until the document needs them no more and no remediation attaches the policy again. The
        apply stops at the policy, and the rest is applied after the detachment.
        """
        target = planned.target
        if planned.attachments and _deletes_policies_only(planned.change_set):
            detached = yield _Task(Step.DETACH, target, planned)
            if detached.status is not Status.UNFINISHED:
                return detached
        result = yield _Task(Step.APPLY, target, planned)
        for attempt in range(2, ATTEMPTS + 1):
            delay, result = yield from self._before_retry(planned, result, attempt)
            if delay is None:
                break
            rest = yield _Task(Step.PLAN, target, planned, attempt=attempt, delay_seconds=delay, again=True)
            if rest.status is Status.NOT_STARTED:
                break
            if rest.status is Status.FAILED:
                result = rest
            elif rest.status is Status.NO_CHANGES:
                return self._done(replace(rest, status=Status.APPLIED, step=Step.APPLY))
            elif not _is_rest(rest.change_set, planned.change_set):
                return self._done(_refused(result, attempt))
            else:
                # What was reviewed may be attached again by the time of the apply.
                reviewed = replace(rest, attachments=planned.attachments)
                again = yield _Task(Step.APPLY, target, reviewed, attempt=attempt, again=True)
                if again.status is Status.NOT_STARTED:
                    break
                result = again
        return result

    def _before_retry(
        self, planned: TargetResult, result: TargetResult, attempt: int
    ) -> Generator[_Task, TargetResult, tuple[float | None, TargetResult]]:
        """Return the wait before the rest of a failed apply, or None for no retry, with the result if it ends here."""
        if planned.attachments and is_in_use(result):
            detached = yield _Task(Step.DETACH, planned.target, planned, attempt=attempt, again=True)
            if detached.status is Status.UNFINISHED:
                return 0.0, result
            return None, detached if detached.status is Status.FAILED else result
        return (wait_seconds(result, attempt), result) if is_transient(result) else (None, result)

    def _done(self, result: TargetResult) -> TargetResult:
        """Record a result that differs from that of the last attempt."""
        self._run.finished(result)
        return result

    # --- The executor --------------------------------------------------------------------------------------------

    def _run_steps(self, step: Step, sequences: Sequence[_Steps], targets: int, workers: int) -> None:
        """Run sequences of tasks to their end with a limited number of concurrent tasks, the first sequences first."""
        self._step = step
        tasks = _Queue(sequences)
        running: dict[Future[Performed], tuple[int, _Task]] = {}
        ended: queue.SimpleQueue[Future[Performed]] = queue.SimpleQueue()
        self._observer.begin(step, targets)
        try:
            while running or tasks:
                # Wait for the running tasks first: their results may be part of the reason.
                while tasks and not running and (reason := self._halted()):
                    number, task = tasks.take()
                    tasks.answer(number, _not_started(task.target, task.step, reason))
                while len(running) < workers and tasks.seconds == 0 and not self._halted():
                    number, task = tasks.take()
                    future = self._start(task)
                    running[future] = (number, task)
                    future.add_done_callback(ended.put)
                if not running:
                    # All remaining tasks wait for their next attempt.
                    self._stop.wait(tasks.seconds if tasks else 0)
                    continue
                with suppress(queue.Empty):
                    idle = len(running) < workers and not self._halted()
                    future = ended.get(timeout=tasks.seconds if idle else None)
                    number, task = running.pop(future)
                    tasks.answer(number, self._finish(task, future))
        finally:
            # On an unexpected error, wait for the running jobs and record their results.
            for future in wait(running).done:
                with suppress(Exception):
                    self._finish(running[future][1], future)
            self._observer.end()

    def _start(self, task: _Task) -> Future[Performed]:
        """Start an attempt; if that fails, the future holds the failure."""
        target, step = task.target, task.step
        self._run.started(target, step, task.attempt)
        self._observer.started(target, step)
        future: Future[Performed] = Future()
        try:
            job = self._make_job(step, target, task.planned, again=task.again)
            return self._workers.submit(job)
        except (FleetError, OSError) as error:
            future.set_result(Performed(failed(target, step, error, self._run.path)))
        except self._workers.lost as error:
            future.set_exception(error)
        return future

    def _finish(self, task: _Task, future: Future[Performed]) -> TargetResult:
        """Record the result of an attempt in the journal, and return it."""
        try:
            performed = future.result()
        except self._workers.lost as error:
            performed = Performed(_lost(task, error))
        changes = performed.result.change_set
        if changes is not None:
            # Share equal change sets: thousands of targets have only a few.
            changes = self._change_sets.setdefault(changes.fingerprint, changes)
        result = replace(named(performed.result), attempts=task.attempt, change_set=changes)
        self._credentials.observe(result)
        if performed.artifacts is not None:
            self._run.keep(task.target, performed.artifacts)
        self._run.finished(result)
        return result


class _Queue:
    """The next task of each sequence, by the time when it is due."""

    def __init__(self, sequences: Sequence[_Steps]) -> None:
        self._sequences = sequences
        self._waiting: list[tuple[float, int, _Task]] = []
        for number, steps in enumerate(sequences):
            self._waiting.append((0.0, number, next(steps)))

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def seconds(self) -> float | None:
        """Seconds until the next task is due; None without a task."""
        return max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None

    def take(self) -> tuple[int, _Task]:
        """Remove the task that is due first, and return it with the number of its sequence."""
        _, number, task = heapq.heappop(self._waiting)
        return number, task

    def answer(self, number: int, result: TargetResult) -> None:
        """Send the result of a task to its sequence, and queue the next task of the sequence."""
        try:
            task = self._sequences[number].send(result)
        except StopIteration:
            return
        due = time.monotonic() + task.delay_seconds if task.delay_seconds else 0.0
        heapq.heappush(self._waiting, (due, number, task))


def _lost(task: _Task, error: BaseException) -> TargetResult:
    """Return the result of a job whose worker was lost. The apply may be partial, so it is not retried."""
    doing = {Step.PLAN: "planning", Step.DETACH: "detaching", Step.APPLY: "applying"}[task.step]
    message = f"The worker was lost while {doing} ({type(error).__name__}); `resume` plans the target again."
    return TargetResult.build(task.target, Status.FAILED, task.step, failure=Failure("terraform", message))


def _refused(failure: TargetResult, attempt: int) -> TargetResult:
    """Return the result of a failed apply whose remaining changes were not reviewed."""
    assert failure.failure is not None  # noqa: S101 - only failed applies are planned again
    message = f"{failure.failure.message} The remaining changes differ from the reviewed plan; plan again."
    return replace(failure, failure=replace(failure.failure, message=message), attempts=attempt)


def _is_rest(rest: ChangeSet | None, planned: ChangeSet | None) -> bool:
    """Tell whether all remaining changes were planned; values are not compared, as more of them are known now."""
    if rest is None or planned is None:
        return False
    left, meant = ({(change.action, change.address) for change in changes.changes} for changes in (rest, planned))
    # One half of a replacement may be done.
    replaced = {(action, address) for kind, address in meant if kind == "replace" for action in ("create", "delete")}
    return left <= meant | replaced


def _deletes_policies_only(changes: ChangeSet | None) -> bool:
    """Tell whether nothing is done before the policies are deleted, so that they can be detached at once."""
    types = {(change.action, change.type) for change in changes.changes} if changes else set()
    return types == {("delete", "aws_iam_policy")}


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
    """Group targets by account: IAM is global, so the regions of an account run one after another.

    The foundation is one group, which begins with the log archive: the management account logs to it, too.
    """
    accounts: dict[str, list[Target]] = {}
    for target in targets:
        accounts.setdefault(FOUNDATION if target.wave == FOUNDATION else target.account.id, []).append(target)
    return [sorted(chain, key=lambda target: _is_first(target) is not home_first) for chain in accounts.values()]


def _is_first(target: Target) -> bool:
    """Tell whether a target comes first in its group."""
    return target.account.role == LOG_ARCHIVE if target.wave == FOUNDATION else target.is_home
