"""What a person sees: progress while targets are worked on, and tables of what came out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fleet.journal import Status, Step, TargetResult, totals
from fleet.plans import ACTIONS

if TYPE_CHECKING:
    from fleet.audit import LivePreferences
    from fleet.operations import RemediatedRole
    from fleet.plans import ChangeGroup
    from fleet.targets import SkippedAccount, Target

_STATUS_STYLES = {
    Status.NO_CHANGES: "dim",
    Status.CHANGES: "yellow",
    Status.APPLIED: "green",
    Status.FAILED: "bold red",
    Status.NOT_STARTED: "magenta",
}
_ACTION_STYLES = {
    "replace": "bold red",
    "delete": "bold red",
    "forget": "magenta",
    "update": "yellow",
    "create": "green",
}
_STEP_NAMES = {Step.PLAN: "Planning", Step.APPLY: "Applying"}
_NARROW = 80
_WIDE = 150


def make_console(*, stderr: bool = False) -> Console:
    """Return a console; a pipe or file gets wide lines, since nobody can resize it."""
    console = Console(stderr=stderr, highlight=False, emoji=False)
    if not console.is_terminal and console.width <= _NARROW:
        console.width = _WIDE
    return console


def status_text(result: TargetResult) -> Text:
    """Return the status of a target in its colour."""
    return Text(result.status.value.replace("_", " "), style=_STATUS_STYLES[result.status])


class TerminalProgress:
    """An observer: a live board on a terminal, a line for each finished target elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._running: dict[str, str] = {}
        self._done = 0
        self._total = 0
        self._live: Live | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", total=None)

    def begin(self, step: Step, targets: int) -> None:
        """Show a new step."""
        self._done, self._total = 0, targets
        self._progress.reset(self._task, description=_STEP_NAMES[step], total=targets)
        if self._console.is_terminal:
            self._live = Live(self._board(), console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        else:
            self._console.print(f"{_STEP_NAMES[step]} {targets} targets")

    def started(self, target: Target, step: Step) -> None:  # noqa: ARG002 - part of the observer's interface
        """Show that a target is being worked on."""
        with self._lock:
            self._running[target.key] = f"{target.account.name} {target.region}"
            self._refresh()

    def finished(self, result: TargetResult) -> None:
        """Count a finished target; failures stay visible."""
        target = result.target
        with self._lock:
            self._done += 1
            self._running.pop(target.key, None)
            self._progress.advance(self._task)
            self._refresh()
            line = Text.assemble(
                f"[{self._done:>{len(str(self._total))}}/{self._total}] {target.account.id} {target.region:<14} ",
                status_text(result),
                f" {_counts(result)} {result.seconds:.1f} s  {target.account.name}",
            )
            if not self._console.is_terminal or result.status is Status.FAILED:
                self._console.print(line)

    def end(self) -> None:
        """Take the board away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._board())

    def _board(self) -> Group:
        return Group(self._progress, *(Text(f"  · {name}", style="dim") for name in self._running.values()))


def _counts(result: TargetResult) -> str:
    outcome = result.outcome
    return f"+{outcome.add} ~{outcome.change} -{outcome.destroy}" if outcome and outcome.changed else ""


def print_skipped(console: Console, skipped: Iterable[SkippedAccount]) -> None:
    """Say which accounts were left out, and why."""
    for entry in skipped:
        text = f"Skipped {entry.account.id} {escape(entry.account.name)}: {entry.reason}."
        console.print(f"[magenta]{text}[/magenta]")


def print_targets(console: Console, targets: Sequence[Target]) -> None:
    """List targets in the order of work."""
    table = Table("Account", "Name", "Organizational unit", "Region", "Wave", "Workspace", title=None)
    for target in targets:
        region = f"{target.region} (home)" if target.is_home else target.region
        account = target.account
        table.add_row(account.id, Text(account.name), Text(account.ou), region, target.wave, target.workspace)
    console.print(table)


def print_change_groups(console: Console, groups: Sequence[ChangeGroup]) -> None:
    """Show every distinct change set once, with the targets it is meant for."""
    for number, group in enumerate(groups, start=1):
        counts = [
            f"{sum(change.action == action for change in group.change_set.changes)} to {action}" for action in ACTIONS
        ]
        summary = ", ".join(count for count in counts if not count.startswith("0 ")) or "outputs only"
        targets = "target" if len(group.targets) == 1 else "targets"
        title = f"Change set {number} ({group.change_set.fingerprint}): {summary}, in {len(group.targets)} {targets}"
        console.print(f"\n[bold]{title}[/bold]")
        for region, names in _names_by_region(group.targets).items():
            console.print(Text(f"  {region}: {', '.join(names)}", style="cyan"))
        for change in group.change_set.changes:
            symbol = f"{ACTIONS[change.action]:>3}"
            console.print(Text(f"  {symbol} {change.address}", style=_ACTION_STYLES[change.action]))


def _names_by_region(targets: Iterable[Target]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for target in targets:
        names.setdefault(target.region, []).append(target.account.name)
    return names


def print_results(console: Console, results: Sequence[TargetResult]) -> None:
    """Show what became of every target, and why those that failed did."""
    table = Table("Account", "Name", "Region", "Status", "Changes", "Seconds")
    for result in results:
        target = result.target
        table.add_row(
            target.account.id,
            Text(target.account.name),
            target.region,
            status_text(result),
            _counts(result),
            f"{result.seconds:.1f}",
        )
    console.print(table)
    for result in results:
        if result.failure is not None:
            print_failure(console, result)
    for reason in dict.fromkeys(result.reason for result in results if result.reason):
        count = sum(result.reason == reason for result in results)
        console.print(f"[magenta]{count} not started: {escape(reason)}.[/magenta]")
    counts = totals(results)
    parts = [f"{counts[status.value]} {status.value.replace('_', ' ')}" for status in Status if counts[status.value]]
    console.print(f"[bold]{counts['targets']} targets:[/bold] {', '.join(parts) or 'nothing to do'}")


def print_failure(console: Console, result: TargetResult) -> None:
    """Show a failed target with the step, and terraform's own errors."""
    target, failure = result.target, result.failure
    assert failure is not None  # noqa: S101 - only failed targets are shown here
    heading = f"{target.account.id} {target.account.name} {target.region}: {result.step.value} failed ({failure.kind})"
    console.print(Text(heading, style="bold red"))
    console.print(Text(f"  {failure.message}"))
    for diagnostic in failure.diagnostics:
        console.print(Text(f"  {diagnostic}", style="red"))


def print_live(console: Console, rows: Iterable[tuple[Target, LivePreferences | str]]) -> None:
    """Show what the preferences document of every target says now."""
    table = Table("Name", "Region", "Default", "Latest", title="Live preferences")
    for heading in ("Logging", "Encrypted", "Minutes"):
        table.add_column(heading, overflow="fold")
    for target, live in rows:
        name = Text(target.account.name)
        if isinstance(live, str):
            table.add_row(name, target.region, "", "", Text(live, style="red"), "", "")
        else:
            values = (live.default_version, live.latest_version, live.logging, live.encryption, live.timeouts)
            table.add_row(name, target.region, *values)
    console.print(table)


def print_remediations(console: Console, rows: Iterable[RemediatedRole]) -> None:
    """Show what AWS Config says of every instance role, before and after the remediation."""
    verdicts = {True: Text("compliant", style="green"), False: Text("non-compliant", style="red")}
    table = Table("Name", "Role", "Before", "Remediation", "Now", title="Instance roles")
    for row in rows:
        state = row.state.lower().replace("_", " ")
        before, now = verdicts[row.before.compliant], verdicts[row.compliant]
        table.add_row(Text(row.target.account.name), Text(row.before.name), before, state, now)
    console.print(table)
