"""Schedule targets: waves, concurrency, the order within an account. Knows no user interface and no terraform flag."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from fleet.errors import FleetError, TerraformError
from fleet.journal import Failure, RunFolder, SavedTarget, Status, Step, TargetResult, sha256_of
from fleet.plans import change_set
from fleet.settings import Settings, Wave
from fleet.targets import Target
from fleet.terraform import Terraform
from fleet.tfvars import TfvarsRenderer, write_private

# How terraform's S3 backend and the AWS provider say that the account could not be entered.
_ACCESS = re.compile(
    r"Cannot assume IAM Role|No valid credential sources|sts:AssumeRole|ExpiredToken|InvalidClientTokenId"
    r"|AWS account ID not allowed"
)


class Observer(Protocol):
    """Is told what happens, from several threads; never stops anything."""

    def begin(self, step: Step, targets: int) -> None:
        """A step starts for this many targets."""

    def started(self, target: Target, step: Step) -> None:
        """A target's step starts."""

    def finished(self, result: TargetResult) -> None:
        """A target's step is over."""

    def end(self) -> None:
        """The step is over for all targets."""


class Rollout:
    """Plans and applies targets of one run.

    Args:
        run: Where everything is kept.
        terraform: An initialized Terraform for each region.
        observer: Is told about progress.
        stop: Once set, no further target is started.
    """

    def __init__(
        self, run: RunFolder, terraform: Mapping[str, Terraform], observer: Observer, stop: threading.Event
    ) -> None:
        self._run = run
        self._terraform = terraform
        self._observer = observer
        self._stop = stop

    def interrupt(self) -> None:
        """Ask all running commands to stop."""
        for terraform in self._terraform.values():
            terraform.interrupt()

    def plan(
        self, targets: Sequence[Target], settings: Settings, renderer: TfvarsRenderer, workers: int
    ) -> list[TargetResult]:
        """Render and plan all targets; one that fails does not stop the others."""

        def work(target: Target) -> TargetResult:
            text = renderer.render(
                target,
                settings.effective(target.account, target.region),
                settings.organization.deployment_role,
            )
            write_private(self._run.variables(target), text)
            return self._plan_target(target)

        return self._all(Step.PLAN, [[target] for target in targets], work, workers)

    def _plan_target(self, target: Target) -> TargetResult:
        terraform, log = self._terraform[target.region], self._run.log(target)
        plan = self._run.plan(target)
        outcome = terraform.plan(target.workspace, self._run.variables(target), plan, log)
        if not outcome.changed:
            return TargetResult(target, Status.NO_CHANGES, Step.PLAN, outcome)
        shown = terraform.show(plan, log)
        write_private(self._run.plan_json(target), json.dumps(shown))
        return TargetResult(
            target,
            Status.CHANGES,
            Step.PLAN,
            outcome,
            change_set(shown, target),
            plan_sha256=sha256_of(plan),
        )

    def apply(
        self, planned: Sequence[TargetResult | SavedTarget], waves: Sequence[Wave], workers: int
    ) -> list[TargetResult]:
        """Apply the saved plans of the targets with changes, and return a result for each of these.

        It goes wave by wave, the regions of an account one after another, home region first. When more targets of a
        wave have failed than it tolerates, whether in the plan or in the apply, later waves are not started.
        """
        entries = {entry.target: entry for entry in planned}
        results: list[TargetResult] = []

        def work(target: Target) -> TargetResult:
            plan = self._run.plan(target)
            if not plan.is_file() or sha256_of(plan) != entries[target].plan_sha256:
                raise TerraformError(f"The saved plan {plan} is missing or not the one that was made; plan again.")
            self._terraform[target.region].apply(target.workspace, plan, self._run.log(target))
            return TargetResult(target, Status.APPLIED, Step.APPLY)

        tolerance = {wave.name: wave for wave in waves}
        blocked = ""
        for name, targets in _by_wave(entries):
            pending = [target for target in targets if entries[target].status is Status.CHANGES]
            if blocked:
                results.extend(_not_started(target, Step.APPLY, blocked) for target in pending)
                continue
            wave_results = self._all(Step.APPLY, _by_account(pending), work, workers) if pending else []
            results.extend(wave_results)
            failures = sum(result.status is Status.FAILED for result in wave_results)
            failures += sum(entries[target].status is Status.FAILED for target in targets)
            wave = tolerance.get(name) or Wave(name=name)
            if not wave.tolerates(failures, len(targets)):
                blocked = f"{failures} of {len(targets)} targets failed in the wave {name}"
        return results

    def _all(
        self,
        step: Step,
        chains: Sequence[Sequence[Target]],
        work: Callable[[Target], TargetResult],
        workers: int,
    ) -> list[TargetResult]:
        """Run chains of targets concurrently, each chain in its order, and return the results in the order given."""
        targets = [target for chain in chains for target in chain]
        self._observer.begin(step, len(targets))
        results: dict[Target, TargetResult] = {}
        lock = threading.Lock()

        def run_chain(chain: Sequence[Target]) -> None:
            for target in chain:
                result = self._one(step, target, work)
                with lock:
                    results[target] = result

        try:
            with ThreadPoolExecutor(max_workers=workers, thread_name_prefix=step.value) as pool:
                futures: list[Future[None]] = [pool.submit(run_chain, chain) for chain in chains]
                for future in as_completed(futures):
                    future.result()
        finally:
            self._observer.end()
        return [results[target] for target in targets]

    def _one(self, step: Step, target: Target, work: Callable[[Target], TargetResult]) -> TargetResult:
        """Do one step of one target; whatever goes wrong becomes its result."""
        if self._stop.is_set():
            return _not_started(target, step, "the run was interrupted")
        self._run.record("started", target=target.key, step=step.value)
        self._observer.started(target, step)
        begun = time.monotonic()
        try:
            result = work(target)
        except (FleetError, OSError) as error:
            result = TargetResult(target, Status.FAILED, step, failure=_failure(error))
        result = replace(result, seconds=time.monotonic() - begun)
        self._run.record("finished", target=target.key, result=self._run.describe(result))
        self._observer.finished(result)
        return result


def _failure(error: FleetError | OSError) -> Failure:
    diagnostics = error.diagnostics if isinstance(error, TerraformError) else ()
    if any(_ACCESS.search(text) for text in diagnostics):
        return Failure("access", "The account could not be entered.", diagnostics)
    return Failure("terraform" if isinstance(error, TerraformError) else "input", str(error), diagnostics)


def _not_started(target: Target, step: Step, reason: str) -> TargetResult:
    return TargetResult(target, Status.NOT_STARTED, step, reason=reason)


def _by_wave(targets: Iterable[Target]) -> list[tuple[str, list[Target]]]:
    waves: dict[str, list[Target]] = {}
    for target in targets:
        waves.setdefault(target.wave, []).append(target)
    return list(waves.items())


def _by_account(targets: Iterable[Target]) -> list[list[Target]]:
    """Chain the targets of each account: IAM is global, and the home region holds what exists once per account."""
    accounts: dict[str, list[Target]] = {}
    for target in targets:
        accounts.setdefault(target.account.id, []).append(target)
    return [sorted(chain, key=lambda target: not target.is_home) for chain in accounts.values()]


def initialize(
    regions: Iterable[str],
    make: Callable[[str], Terraform],
    backend: Callable[[str], Mapping[str, str]],
    run: RunFolder,
) -> dict[str, Terraform]:
    """Initialize one Terraform for each region; a region has its own prefix in the state bucket.

    Raises:
        TerraformError: The backend or the provider cannot be had.
    """
    initialized = {}
    for region in dict.fromkeys(regions):
        terraform = make(region)
        terraform.init(backend(region), run.path / f"init-{region}.log")
        initialized[region] = terraform
    return initialized


def data_folder(run: RunFolder, region: str) -> Path:
    """Return terraform's data folder of a run for the states of a region."""
    return run.path / ".terraform" / region
