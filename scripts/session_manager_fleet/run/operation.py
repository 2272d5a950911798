"""Use cases behind the CLI commands. They take targets and return results; printing is up to the caller."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from types import FrameType
from typing import Self

from session_manager_fleet.accounts import Organization, account_in, save
from session_manager_fleet.aws import as_caller, caller_identity, new_session, validity
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.files import refuse_links
from session_manager_fleet.preferences import wanted_preferences
from session_manager_fleet.run.clean import why_no_candidate
from session_manager_fleet.run.credentials import CredentialsEnd
from session_manager_fleet.run.executors.base import Opener, Site
from session_manager_fleet.run.executors.capacity import Capacity, measure_capacity
from session_manager_fleet.run.executors.choose import dask_address, dask_opener
from session_manager_fleet.run.executors.threads import local_workers
from session_manager_fleet.run.failures import TargetLeftError
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.job_description import Job, JobSettings
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.kept import kept_in
from session_manager_fleet.run.options import RunOptions
from session_manager_fleet.run.results import Status, Step, TargetResult, exit_code
from session_manager_fleet.run.reviewed_plan import ReviewedPlan
from session_manager_fleet.run.run_lock import RunLock, locked
from session_manager_fleet.run.saved_plan import Toolchain
from session_manager_fleet.run.scheduler import Observer, Scheduler
from session_manager_fleet.run.signals import handled_signals
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.settings import Component
from session_manager_fleet.targets import EVERYTHING, Inventory, Target, TfvarsRenderer, renderer_of
from session_manager_fleet.terraform import (
    ROOT_MODULE,
    Adoption,
    StateBackend,
    Terraform,
    adoptable_kinds,
    child_environment,
    find_terraform,
    read_adoptions,
    read_revisions,
    terraform_version,
    version_pin,
    with_adoptions,
    with_retry_token,
)

DESTROY = "destroy"
# The accounts that were discovered for the run; `--read-from` reads them.
ORGANIZATION = "organization.json"
# One Ctrl-C may come twice at once: to the process and, as by GNU timeout, to its group. A person takes longer.
SAME_SIGNAL_SECONDS = 1.0
# Concurrent readers of the state bucket, which mostly wait.
_READERS = 16
# Terraform's data folders.
_TERRAFORM_DATA = ".terraform"
# In the folder of all runs: the provider, which they share. Terraform checks it against the lock file in each of them.
_PROVIDERS = ".providers"
# Results after which terraform has to work on the target again.
_OPEN = {Status.CHANGES, Status.FAILED, Status.NOT_STARTED, Status.UNFINISHED}


@dataclass
class Operation:
    """A command that runs terraform for the targets of a run.

    Attributes:
        inventory: The organization and its settings.
        run: Folder of the run.
        capacity: Number of concurrent targets.
        observer: Receives the progress.
        workers: Opens the executor of the jobs.
        job_settings: Settings that all jobs share, with the options of the run.
        retry_tokens: Retry tokens, by the key of the target.
        adoptions: What targets use as it exists, by the key of the target.
        destroys: Whether plans destroy everything.
        components: Components that plans are limited to; empty for all.
        missing_shards: Shards that were missing when the run was merged.
        indeterminate: Keys of the targets whose apply was started, and whose result is not known.
        why_planned: With `--skip-clean`, by the key of the target, why terraform plans it; empty for those that it need
            not plan. None without the option.
        stop: Set when the user asks to stop.
        credentials: End of the caller's credentials.
    """

    inventory: Inventory
    run: RunFolder
    capacity: Capacity
    observer: Observer
    workers: Opener
    job_settings: JobSettings
    retry_tokens: dict[str, int]
    adoptions: Mapping[str, tuple[Adoption, ...]] = field(default_factory=dict)
    destroys: bool = False
    components: tuple[Component, ...] = ()
    missing_shards: tuple[str, ...] = ()
    indeterminate: set[str] = field(default_factory=set)
    why_planned: dict[str, str] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    credentials: CredentialsEnd = field(default_factory=CredentialsEnd)
    _interrupt: Callable[[], None] = lambda: None

    @classmethod
    def prepare(
        cls,
        inventory: Inventory,
        run: RunFolder,
        lock: RunLock,
        beginning: Beginning,
        targets: Sequence[Target],
        observer: Observer,
        options: RunOptions,
    ) -> Self:
        """Lock the targets for the run, check terraform, the provider and the state bucket, and initialize terraform.

        Args:
            inventory: The organization and its settings.
            run: Folder of the run.
            lock: Lock of the run.
            beginning: Beginning of the command.
            targets: Targets of the command.
            observer: Receives the progress.
            options: Options of the run.

        Raises:
            InputError: Terraform, the plugin mirror or the state bucket is missing, or another run holds a lock.
            AccessError: Access to the state bucket is denied.
            TerraformError: The backend or the provider cannot be initialized.
            JournalError: The folder of the run cannot be written.
        """
        address = dask_address(options.executor)
        with run.writing():
            lock.hold([target.key for target in targets])
        binary = find_terraform()
        capacity = _capacity(options, shared=address is not None)
        settings = inventory.settings.organization
        backend = StateBackend.find(settings, inventory.home_region)
        job_settings = JobSettings(
            tools=Toolchain.of(ROOT_MODULE, terraform_version(binary)),
            roles=settings.roles,
            backend=backend,
            options=options,
        )
        regions = dict.fromkeys(target.region for target in targets)
        backends = {region: backend.configuration(region) for region in regions}
        entered = (settings.deployment_role, settings.roles.reader, settings.state.role)
        secrets = tuple(role.external_id for role in entered if role and role.external_id)
        site = Site(job_settings.tools.root_sha256, backends, options.timeout_seconds, secrets)
        if address is None:
            with run.writing():
                cache = _provider_cache(run.path.parent)
                environment = child_environment(os.environ, run.path, capacity.go_runtime, cache)
                environment |= version_pin(job_settings.tools.terraform_version)
                # Terraform does not expect that several processes install into one cache.
                with locked(lock.path.with_name(_PROVIDERS)):
                    terraform = _initialize(binary, environment, run, site)
            beginning = _with_warning(beginning, terraform)
            count = max(capacity.plan_workers, capacity.apply_workers)
            workers: Opener = partial(local_workers, run, terraform, count, serial=options.serial)
        else:
            version = job_settings.tools.terraform_version
            workers = dask_opener(address, run, site, ROOT_MODULE.pack(), version)
            with workers():
                pass  # Check now that the cluster can be used.
        if beginning.command not in {"plan", DESTROY}:
            backend.check_writable()
        retry_tokens, applying = read_revisions(backend)
        caller = caller_identity(new_session(), backend.region)
        beginning = beginning.model_copy(update={"caller": caller.arn})
        run.begin(beginning)
        with run.writing():
            save(inventory.organization, run.path / ORGANIZATION)
        return cls(
            inventory,
            run,
            capacity,
            observer,
            workers,
            job_settings,
            retry_tokens,
            read_adoptions(backend),
            destroys=beginning.command == DESTROY,
            components=beginning.components,
            missing_shards=beginning.missing_shards,
            indeterminate=applying,
            # The workers of a cluster have credentials of their own.
            credentials=CredentialsEnd(validity().ends if address is None else None, options.timeout_seconds),
        )

    def skip_clean(self, targets: Sequence[Target]) -> list[Target]:
        """Return the targets that are as in their last clean run, for `verify` to look at; the others are planned."""
        jobs = [self._job(Step.PLAN, target, None, again=False) for target in targets]
        with ThreadPoolExecutor(_READERS, thread_name_prefix="clean") as pool:
            reasons = list(pool.map(why_no_candidate, jobs))
        by_key = {target.key: reason for target, reason in zip(targets, reasons, strict=True)}
        self.why_planned = {key: reason or "it was not verified" for key, reason in by_key.items()}
        return [target for target in targets if not by_key[target.key]]

    def verified(self, target: Target, problem: str) -> None:
        """Let terraform skip a target of `skip_clean` if verify has found no problem."""
        self.why_planned = {**(self.why_planned or {}), target.key: problem}

    def plan(self, targets: Sequence[Target]) -> list[TargetResult]:
        """Plan targets."""
        with self._rollout() as rollout:
            return rollout.plan(targets)

    def apply(
        self, planned: Sequence[TargetResult], between: Callable[[str, str], bool] = lambda _done, _next: True
    ) -> list[TargetResult]:
        """Apply the saved plans of the targets that have changes, and return the updated results of all targets.

        Targets whose plan failed count for the tolerance of their wave.
        """
        with self._rollout() as rollout:
            applied = rollout.apply(planned, self.inventory.settings.waves, between, reverse=self.destroys)
        by_key = {result.key: result for result in applied}
        return [by_key[plan.key].after_plan(plan) if plan.key in by_key else plan for plan in planned]

    def allow_destroy(self) -> None:
        """Allow the deletion of keys, log groups and buckets, which the user has confirmed."""
        options = replace(self.job_settings.options, allow_destroy=True)
        self.job_settings = replace(self.job_settings, options=options)

    def finish(self, results: Sequence[TargetResult]) -> tuple[ExitCode, Summary]:
        """Write the summary, and return it with the exit code for the results."""
        code = exit_code(results, interrupted=self.stop.is_set(), missing_shards=self.missing_shards)
        if not any(result.status in _OPEN for result in results):
            # Each command initializes its own: only a command that follows would save the time.
            shutil.rmtree(self.run.path / _TERRAFORM_DATA, ignore_errors=True)
        self.run.end(code)
        return code, self.run.write_summary()

    @contextmanager
    def _rollout(self) -> Iterator[Scheduler]:
        with self.workers() as workers:
            self._interrupt = workers.interrupt
            capacity = Capacity(
                min(self.capacity.plan_workers, workers.count), min(self.capacity.apply_workers, workers.count)
            )
            yield Scheduler(
                run=self.run,
                workers=workers,
                make_job=self._job,
                observer=self.observer,
                stop=self.stop,
                capacity=capacity,
                options=self.job_settings.options,
                credentials=self.credentials,
            )

    def _job(self, step: Step, target: Target, planned: TargetResult | None, *, again: bool) -> Job:
        if self.destroys and (kept := self._kept(target)) is not None:
            reviewed = ReviewedPlan.of(planned) if planned else None
            attachments = planned.attachments if planned else ()
            return Job(step, target, kept, self.job_settings, reviewed, destroy=True, attachments=attachments)
        account = self._current(target).account
        indeterminate = again or target.key in self.indeterminate
        if indeterminate:
            # An apply that failed may have stored a retry token for the next plan.
            self.retry_tokens |= read_revisions(self.job_settings.backend, target.key)[0]
        # The target may come from a journal, which holds no tags; settings may match them.
        current, settings = replace(target, account=account), self.inventory.settings
        stored_token = self.retry_tokens.get(target.key, 0)
        # A plan that found the live document to differ has a token of its own, which its apply stores.
        retry_token = max(stored_token, planned.retry_token if planned else 0)
        effective = with_retry_token(settings.effective(account, target.region), retry_token)
        remembered = self.adoptions.get(target.key, ())
        effective, adopted = with_adoptions(effective, planned.adopted if planned else remembered)
        roles = settings.organization.roles
        text = self._renderer.render(current, effective, roles)
        other = effective.without_rule if current.is_home else None
        return Job(
            step,
            target,
            text,
            self.job_settings,
            ReviewedPlan.of(planned) if planned else None,
            destroy=self.destroys,
            attachments=planned.attachments if planned else (),
            adopted=adopted,
            adoptable=adoptable_kinds(effective),
            remembered=remembered,
            retry_token=retry_token,
            stored_token=stored_token,
            wanted=None if self.destroys else wanted_preferences(current, effective.values),
            verify=indeterminate and not self.destroys,
            without_rule=self._renderer.render(current, other, roles) if other else "",
            values=effective.values,
            components=self.components,
            skips_clean=self.why_planned is not None and step is Step.PLAN and planned is None,
            why_planned=(self.why_planned or {}).get(target.key, ""),
        )

    def _kept(self, target: Target) -> str | None:
        """Return the variables of a target that has left the settings, but whose account can be entered; else None."""
        current = self._all_targets.get(target.key)
        account = account_in(self.inventory.organization, target.account.id)
        if (current and current.home_region == target.home_region) or (account and account.skip_reason):
            return None
        return kept_in(self.run, target)

    def _current(self, target: Target) -> Target:
        """Return the target as the organization and its settings define it now.

        Raises:
            TargetLeftError: There is no such target any more.
            InputError: Its home region has changed.
        """
        current = self._all_targets.get(target.key)
        if current is None:
            raise TargetLeftError(_why_missing(target, self.inventory.organization))
        if current.home_region != target.home_region:
            message = f"The home region of account {target.account.id} was {target.home_region} when it was planned"
            raise InputError(f"{message}, and is {current.home_region} now; plan again.")
        return current

    @cached_property
    def _all_targets(self) -> Mapping[str, Target]:
        return {target.key: target for target in self.inventory.select(EVERYTHING).targets}

    @cached_property
    def _renderer(self) -> TfvarsRenderer:
        return renderer_of(self.inventory.settings)

    @contextmanager
    def interruptible(self, say: Callable[[str], None]) -> Iterator[None]:
        """Handle signals: the first one starts no further target, the second one interrupts terraform.

        Args:
            say: Shows a sentence to the user.
        """
        first = 0.0

        def handle(_number: int, _frame: FrameType | None) -> None:
            nonlocal first
            if not self.stop.is_set():
                self.stop.set()
                first = time.monotonic()
                say("Stopping after the running targets. Interrupt again to interrupt terraform itself.")
            elif time.monotonic() - first >= SAME_SIGNAL_SECONDS:
                say("Interrupting terraform; it saves its state first.")
                self._interrupt()

        with handled_signals(handle):
            yield


def _why_missing(target: Target, organization: Organization) -> str:
    account = account_in(organization, target.account.id)
    if account is None:
        return f"The account {target.account.id} is no longer in the organization."
    if account.skip_reason:
        return f"The account {account.id} is skipped now: {account.skip_reason}."
    return f"The settings no longer include the region {target.region}."


def _with_warning(beginning: Beginning, terraform: Mapping[str, Terraform]) -> Beginning:
    """Return the beginning with a warning if plans cannot have a provider process each; the regions do not differ."""
    reason = next((reason for each in terraform.values() if (reason := each.try_provider())), "")
    if not reason:
        return beginning
    warning = f"Plans cost about half as much again, because terraform starts the provider itself: {reason}."
    return beginning.model_copy(update={"warnings": (*beginning.warnings, warning)})


def _capacity(options: RunOptions, *, shared: bool) -> Capacity:
    """Return the number of concurrent targets; a cluster limits it by its own workers."""
    if options.serial:
        return Capacity(1, 1)
    if shared:
        most = options.workers or sys.maxsize
        return Capacity(most, most)
    return measure_capacity(options.workers)


def _provider_cache(runs: Path) -> Path:
    """Return the private folder for the provider of all runs; Terraform creates it when it needs it."""
    cache = runs / _PROVIDERS
    refuse_links(cache, below=runs)
    if cache.exists():
        cache.chmod(0o700)
    return cache


def _initialize(binary: str, environment: Mapping[str, str], run: RunFolder, site: Site) -> Mapping[str, Terraform]:
    """Return an initialized Terraform for each region."""
    terraform = {}
    for region, backend in site.backends.items():
        terraform[region] = Terraform(
            binary=binary,
            root=ROOT_MODULE,
            data_folder=run.path / _TERRAFORM_DATA / region,
            environment=environment,
            timeout_seconds=site.timeout_seconds,
            secrets=site.secrets,
            as_caller=as_caller,
        )
        terraform[region].init(backend, run.path / f"init-{region}.log")
    return terraform
