"""The verbs of the command line as functions: what to work on in, results out; nothing here prints."""

from __future__ import annotations

import datetime
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from types import FrameType

from session_manager_fleet.accounts import Organization, save
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.run.executors.base import Opener, Site
from session_manager_fleet.run.executors.capacity import Capacity, measure_capacity
from session_manager_fleet.run.executors.choose import THREADS, dask_address, dask_opener
from session_manager_fleet.run.executors.threads import local_workers
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.job import Job, Terms
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.results import Step, TargetResult, exit_code
from session_manager_fleet.run.run_lock import RunLock
from session_manager_fleet.run.saved_plan import Toolchain
from session_manager_fleet.run.scheduler import Limits, Observer, Scheduler
from session_manager_fleet.run.signals import handled_signals
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets import EVERYTHING, Inventory, Target, TfvarsRenderer, renderer_of
from session_manager_fleet.terraform import (
    ROOT_MODULE,
    StateBackend,
    Terraform,
    child_environment,
    find_terraform,
    read_retry_tokens,
    terraform_version,
    with_retry_token,
)

DESTROY = "destroy"
# The accounts as they were discovered for the run: `--read-from` takes them from there.
ORGANIZATION = "organization.json"


@dataclass(frozen=True)
class RunOptions:
    """How a run is to be done.

    Attributes:
        workers: Targets at once; None for as many as this machine can carry.
        executor: Where jobs are done, as session_manager_fleet.run.executors.threads understands it.
        serial: One target after another, without threads.
        timeout_seconds: How long one terraform command may take.
        max_failures: Failed targets in all that are tolerated, as a number or a percentage; None for any number.
        wave_pause_seconds: How long to wait between two waves.
        max_plan_age: How old a saved plan may be when it is applied.
        allow_destroy: Keys, log groups and buckets may be deleted or replaced.
    """

    workers: int | None = None
    executor: str = THREADS
    serial: bool = False
    timeout_seconds: float = 1800.0
    max_failures: int | str | None = None
    wave_pause_seconds: float = 0.0
    max_plan_age: datetime.timedelta = datetime.timedelta(hours=24)
    allow_destroy: bool = False


@dataclass
class Operation:
    """A command that works on the targets of a run.

    Attributes:
        context: The organization and its settings.
        run: Where everything is kept.
        options: How it is to be done.
        capacity: How much to do at once.
        observer: Is told about progress.
        workers: Opens what does the jobs.
        terms: What holds for all jobs.
        retry_tokens: Retry tokens, by the key of the target.
        destroys: Plans are made to destroy everything.
        missing_shards: Parts of a merged run that were not there.
        indeterminate: Keys of the targets of which an earlier command does not know how their apply ended.
        stop: Set as soon as the user asks to stop.
    """

    context: Inventory
    run: RunFolder
    options: RunOptions
    capacity: Capacity
    observer: Observer
    workers: Opener
    terms: Terms
    retry_tokens: dict[str, int]
    destroys: bool = False
    missing_shards: tuple[str, ...] = ()
    indeterminate: set[str] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)
    _interrupt: Callable[[], None] = lambda: None

    @classmethod
    def prepare(
        cls,
        context: Inventory,
        run: RunFolder,
        claim: RunLock,
        beginning: Beginning,
        targets: Sequence[Target],
        observer: Observer,
        options: RunOptions,
    ) -> Operation:
        """Lock the targets for the run, check terraform, the provider and the state bucket, and initialize terraform.

        Args:
            context: The organization and its settings.
            run: Where everything is kept.
            claim: That of the run.
            beginning: What the command sets out to do.
            targets: What it works on.
            observer: Is told about progress.
            options: How it is to be done.

        Raises:
            InputError: Terraform, the plugin mirror or the state bucket is not there, or another run is at work here.
            AccessError: The state bucket may not be used.
            TerraformError: The backend or the provider cannot be had.
            JournalError: The folder of the run cannot be written.
        """
        address = dask_address(options.executor)
        with run.writing():
            claim.hold([target.key for target in targets])
        binary = find_terraform()
        capacity = _capacity(options, shared=address is not None)
        settings = context.settings.organization
        backend = StateBackend.find(settings, context.home_region)
        terms = Terms(
            tools=Toolchain.of(ROOT_MODULE, terraform_version(binary)),
            role=settings.deployment_role,
            backend=backend,
            max_plan_age=options.max_plan_age,
            allow_destroy=options.allow_destroy,
        )
        regions = dict.fromkeys(target.region for target in targets)
        backends = {region: backend.configuration(region) for region in regions}
        secrets = tuple(text for text in (settings.deployment_role.external_id,) if text)
        site = Site(terms.tools.root_sha256, backends, options.timeout_seconds, secrets)
        if address is None:
            with run.writing():
                environment = child_environment(os.environ, run.path, capacity.go_runtime)
                terraform = _initialize(binary, environment, run, site)
            count = max(capacity.plan_workers, capacity.apply_workers)
            workers: Opener = partial(local_workers, run, terraform, count, serial=options.serial)
        else:
            version = terms.tools.terraform_version
            workers = dask_opener(address, run, site, ROOT_MODULE.pack(), version)
            with workers():
                pass  # The cluster is there and can be used.
        retry_tokens = read_retry_tokens(backend)
        run.begin(beginning)
        with run.writing():
            save(context.organization, run.path / ORGANIZATION)
        return cls(
            context,
            run,
            options,
            capacity,
            observer,
            workers,
            terms,
            retry_tokens,
            destroys=beginning.command == DESTROY,
            missing_shards=beginning.missing_shards,
        )

    def plan(self, targets: Sequence[Target]) -> list[TargetResult]:
        """Plan targets."""
        with self._rollout() as rollout:
            return rollout.plan(targets)

    def apply(
        self, planned: Sequence[TargetResult], between: Callable[[str, str], bool] = lambda _done, _next: True
    ) -> list[TargetResult]:
        """Apply the saved plans of the targets that have changes, and return all results brought up to date.

        Those whose plan failed count for the tolerance of their wave.
        """
        with self._rollout() as rollout:
            applied = rollout.apply(planned, self.context.settings.waves, between, reverse=self.destroys)
        by_key = {result.key: result for result in applied}
        return [by_key[plan.key].after_plan(plan) if plan.key in by_key else plan for plan in planned]

    def allow_destroy(self) -> None:
        """Let keys, log groups and buckets be deleted: somebody has agreed to that."""
        self.terms = replace(self.terms, allow_destroy=True)

    def finish(self, results: Sequence[TargetResult]) -> tuple[ExitCode, Summary]:
        """Write the summary, and return what the process says of these results."""
        code = exit_code(results, interrupted=self.stop.is_set(), missing_shards=self.missing_shards)
        self.run.end(code)
        return code, self.run.write_summary()

    @contextmanager
    def _rollout(self) -> Iterator[Scheduler]:
        with self.workers() as workers:
            self._interrupt = workers.interrupt
            limits = Limits(
                plan_workers=min(self.capacity.plan_workers, workers.count),
                apply_workers=min(self.capacity.apply_workers, workers.count),
                max_failures=self.options.max_failures,
                wave_pause_seconds=self.options.wave_pause_seconds,
            )
            yield Scheduler(
                run=self.run,
                workers=workers,
                make_job=self._job,
                observer=self.observer,
                stop=self.stop,
                limits=limits,
            )

    def _job(self, step: Step, target: Target, plan_sha256: str | None, *, again: bool) -> Job:
        account = self._current(target).account
        indeterminate = again or target.key in self.indeterminate
        if indeterminate:
            # An apply that failed may have stored a retry token for the next plan.
            self.retry_tokens |= read_retry_tokens(self.terms.backend, target.key)
        # What an earlier command noted of the account is not all that settings match, tags for example.
        current, settings = replace(target, account=account), self.context.settings
        retry_token = self.retry_tokens.get(target.key, 0)
        effective = with_retry_token(settings.effective(account, target.region), retry_token)
        text = self._renderer.render(current, effective, settings.organization.deployment_role)
        return Job(
            step,
            target,
            text,
            self.terms,
            plan_sha256,
            destroy=self.destroys,
            retry_token=retry_token,
            verify=indeterminate and not self.destroys,
        )

    def _current(self, target: Target) -> Target:
        """Return what settings and organization make of a target now.

        Raises:
            InputError: Nothing, or something else than when it was planned.
        """
        current = self._all_targets.get(target.key)
        if current is None:
            raise InputError(_why_gone(target, self.context.organization))
        if current.home_region != target.home_region:
            message = f"The home region of account {target.account.id} was {target.home_region} when it was planned"
            raise InputError(f"{message}, and is {current.home_region} now; plan again.")
        return current

    @cached_property
    def _all_targets(self) -> Mapping[str, Target]:
        return {target.key: target for target in self.context.select(EVERYTHING).targets}

    @cached_property
    def _renderer(self) -> TfvarsRenderer:
        return renderer_of(self.context.settings)

    @contextmanager
    def interruptible(self, tell: Callable[[str], None]) -> Iterator[None]:
        """Stop in an orderly way: the first signal lets finish what runs, the second interrupts terraform."""

        def handle(_number: int, _frame: FrameType | None) -> None:
            if not self.stop.is_set():
                self.stop.set()
                tell("Stopping: what runs now is finished. Interrupt again to interrupt terraform itself.")
            else:
                tell("Interrupting terraform; it saves its state first.")
                self._interrupt()

        with handled_signals(handle):
            yield


def _why_gone(target: Target, organization: Organization) -> str:
    account = next((account for account in organization.accounts if account.id == target.account.id), None)
    if account is None:
        return f"The account {target.account.id} is not in the organization any more."
    if account.skip_reason:
        return f"The account {account.id} is left out now: {account.skip_reason}."
    return f"The settings leave the region {target.region} out now."


def _capacity(options: RunOptions, *, shared: bool) -> Capacity:
    """Return how much to do at once; a cluster says itself what it can carry."""
    if options.serial:
        return Capacity(1, 1)
    if shared:
        most = options.workers or sys.maxsize
        return Capacity(most, most)
    return measure_capacity(options.workers)


def _initialize(binary: str, environment: Mapping[str, str], run: RunFolder, site: Site) -> Mapping[str, Terraform]:
    """Return an initialized Terraform for each region."""
    terraform = {}
    for region, backend in site.backends.items():
        terraform[region] = Terraform(
            binary=binary,
            root=ROOT_MODULE,
            data_folder=run.path / ".terraform" / region,
            environment=environment,
            timeout_seconds=site.timeout_seconds,
            secrets=site.secrets,
        )
        terraform[region].init(backend, run.path / f"init-{region}.log")
    return terraform
