"""The verbs of the command line as functions: what to work on in, results out; nothing here prints."""

from __future__ import annotations

import datetime
import difflib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from fleet.audit import JudgedRole, LivePreferences, read_compliance, read_preferences, remediate
from fleet.capacity import Capacity, measure_capacity
from fleet.context import Context, backend_of, state_backend
from fleet.errors import AccessError, ExitCode, InputError
from fleet.journal import RunFolder, SavedTarget, Status, TargetResult
from fleet.rollout import Observer, Rollout, data_folder, initialize
from fleet.targets import Target, TargetList
from fleet.terraform import Terraform, child_environment, find_terraform
from fleet.tfvars import TfvarsRenderer, write_private

if TYPE_CHECKING:
    from fleet.settings import Wave

ROOT_MODULE = Path(__file__).resolve().parents[2]


@dataclass
class Operation:
    """One run over some targets.

    Attributes:
        context: The organization and its settings.
        run: Where everything is kept.
        capacity: How much to do at once.
        stop: Set as soon as the user asks to stop.
    """

    context: Context
    run: RunFolder
    capacity: Capacity
    stop: threading.Event
    _rollout: Rollout

    @classmethod
    def prepare(
        cls, context: Context, run: RunFolder, regions: Sequence[str], observer: Observer, workers: int | None
    ) -> Operation:
        """Check terraform, the provider and the state bucket, and initialize terraform for the regions.

        Raises:
            InputError: Terraform, the plugin mirror or the state bucket is not there.
            AccessError: The state bucket may not be used.
            TerraformError: The backend or the provider cannot be had.
        """
        binary = find_terraform()
        capacity = measure_capacity(workers)
        environment = child_environment(os.environ, run.path, capacity.gogc)
        settings = context.settings.organization
        shared = state_backend(settings, context.home_region)

        def make(region: str) -> Terraform:
            folder = data_folder(run, region)
            return Terraform(binary=binary, root=ROOT_MODULE, data_folder=folder, environment=environment)

        def backend(region: str) -> Mapping[str, str]:
            return backend_of(shared, settings, region)

        stop = threading.Event()
        terraform = initialize(regions, make, backend, run)
        return cls(context, run, capacity, stop, Rollout(run, terraform, observer, stop))

    def plan(self, targets: TargetList) -> list[TargetResult]:
        """Plan all targets."""
        renderer = TfvarsRenderer(self.context.settings.document.path.name)
        return self._rollout.plan(targets.targets, self.context.settings, renderer, self.capacity.plan_workers)

    def apply(self, planned: Sequence[TargetResult | SavedTarget]) -> list[TargetResult]:
        """Apply the saved plans of the targets that have changes; those whose plan failed count for their waves."""
        waves: Sequence[Wave] = self.context.settings.waves
        return self._rollout.apply(planned, waves, self.capacity.apply_workers)

    @contextmanager
    def interruptible(self, tell: Callable[[str], None]) -> Iterator[None]:
        """Stop in an orderly way: the first signal lets finish what runs, the second interrupts terraform."""

        def handle(_number: int, _frame: FrameType | None) -> None:
            if not self.stop.is_set():
                self.stop.set()
                tell("Stopping: what runs now is finished. Interrupt again to interrupt terraform itself.")
            else:
                tell("Interrupting terraform; it saves its state first.")
                self._rollout.interrupt()

        with handled_signals(handle):
            yield


@contextmanager
def handled_signals(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let a function handle Ctrl-C, termination and hang-up for a while."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def merge_results(planned: Sequence[TargetResult], applied: Sequence[TargetResult]) -> list[TargetResult]:
    """Return one result for each planned target: that of the apply where there was one, with the plan's changes."""
    by_target = {result.target: result for result in applied}
    return [
        replace(
            by_target[plan.target],
            outcome=plan.outcome,
            change_set=plan.change_set,
            plan_sha256=plan.plan_sha256,
            seconds=plan.seconds + by_target[plan.target].seconds,
        )
        if plan.target in by_target
        else plan
        for plan in planned
    ]


def with_changes(results: Sequence[TargetResult]) -> list[TargetResult]:
    """Return the results that have something to apply."""
    return [result for result in results if result.status is Status.CHANGES]


def exit_code(results: Sequence[TargetResult], *, interrupted: bool) -> ExitCode:
    """Return what the process says of these results; failure outweighs changes."""
    statuses = {result.status for result in results}
    if interrupted:
        return ExitCode.INTERRUPTED
    if statuses & {Status.FAILED, Status.NOT_STARTED}:
        return ExitCode.TARGET_FAILED
    return ExitCode.CHANGES_PENDING if Status.CHANGES in statuses else ExitCode.DONE


def refuse_expired_exceptions(context: Context) -> None:
    """Refuse to plan or apply with an exception whose last day is over.

    Raises:
        InputError: With the line of each.
    """
    if problems := context.settings.expired_exceptions(datetime.datetime.now(datetime.UTC).date()):
        raise InputError(problems)


@dataclass(frozen=True)
class RenderedFile:
    """A tfvars file as it should be, and as it is.

    Attributes:
        path: Where it belongs.
        text: What it should hold; empty for a stale file.
        current: What it holds, or None when it does not exist.
        stale: Nothing is rendered to this place any more.
    """

    path: Path
    text: str
    current: str | None
    stale: bool = False

    @property
    def differs(self) -> bool:
        """Whether something would have to be written or removed."""
        return self.stale or self.text != self.current

    def diff(self) -> str:
        """Return the difference from what is there to what should be, as a unified diff."""
        before = (self.current or "").splitlines(keepends=True)
        after = self.text.splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, f"{self.path} (on disk)", f"{self.path} (rendered)"))


def render(context: Context, targets: TargetList, folder: Path, *, find_stale: bool) -> list[RenderedFile]:
    """Render the tfvars of all targets, `<folder>/<account>/<region>.tfvars`, without writing anything."""
    renderer = TfvarsRenderer(context.settings.document.path.name)
    role = context.settings.organization.deployment_role
    rendered = []
    for target in targets.targets:
        path = folder / f"{target.key}.tfvars"
        text = renderer.render(target, context.settings.effective(target.account, target.region), role)
        current = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
        rendered.append(RenderedFile(path, text, current))
    if find_stale:
        wanted = {file.path for file in rendered}
        found = sorted(set(folder.glob("[0-9]" * 12 + "/*.tfvars")) - wanted)
        texts = (path.read_text(encoding="utf-8", errors="replace") for path in found)
        rendered.extend(RenderedFile(path, "", text, stale=True) for path, text in zip(found, texts, strict=True))
    return rendered


def write_rendered(files: Sequence[RenderedFile], *, prune: bool) -> None:
    """Write what differs; stale files are removed only on request."""
    for file in files:
        if file.stale:
            if prune:
                file.path.unlink()
        elif file.differs:
            write_private(file.path, file.text)


def live_preferences(context: Context, targets: Sequence[Target]) -> list[tuple[Target, LivePreferences | str]]:
    """Read the preferences document of every target; where that fails, the reason stands in its place."""
    rows: list[tuple[Target, LivePreferences | str]] = []
    for target in targets:
        settings = context.settings.effective(target.account, target.region)
        try:
            session = context.session(target.account, target.region)
            live = read_preferences(session, target.region, settings.values.names.document)
        except AccessError as error:
            rows.append((target, str(error)))
        else:
            rows.append((target, live or "there is no preferences document"))
    return rows


@dataclass(frozen=True)
class RemediatedRole:
    """An instance role before and after the remediation of the Config rule.

    Attributes:
        target: Home-region target of the role's account.
        before: What AWS Config said first.
        state: How the remediation ended; empty where none was needed.
        compliant: What AWS Config says now.
    """

    target: Target
    before: JudgedRole
    state: str
    compliant: bool


def remediate_roles(context: Context, targets: Sequence[Target], settle: Callable[[], None]) -> list[RemediatedRole]:
    """Start the remediation of all non-compliant roles in the home regions, and read again what AWS Config says.

    Args:
        context: The organization.
        targets: Only those in their account's home region are considered.
        settle: Waits until AWS Config has judged what changed.

    Raises:
        AccessError: AWS Config cannot be asked.
    """
    settle()
    rows: list[RemediatedRole] = []
    for target in targets:
        settings = context.settings.effective(target.account, target.region).values
        if not target.is_home or not settings.config_rule.enabled:
            continue
        session, rule = context.session(target.account, target.region), settings.names.config_rule
        judged = read_compliance(session, target.region, rule)
        pending = [role.resource_id for role in judged if not role.compliant]
        states = remediate(session, target.region, rule, pending) if pending else {}
        settle()
        now = {role.resource_id: role.compliant for role in read_compliance(session, target.region, rule)}
        rows.extend(
            RemediatedRole(target, role, states.get(role.resource_id, ""), now.get(role.resource_id, False))
            for role in judged
        )
    return rows
