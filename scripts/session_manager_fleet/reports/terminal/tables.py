"""Tables of targets, change sets and results."""

import io
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from session_manager_fleet.changes import ACTIONS, SHOWS_SETTINGS, ResourceChange
from session_manager_fleet.reports.causes import Cause, causes
from session_manager_fleet.reports.commands import Commands
from session_manager_fleet.reports.safe_text import visible, visible_lines
from session_manager_fleet.reports.terminal.console import WIDE
from session_manager_fleet.reports.text import (
    action_counts,
    action_totals,
    change_counts,
    counted,
    diff_lines,
    exception_line,
    failure_heading,
    listed,
    names_by_region,
    notes,
    outcome,
    preview_line,
    previews,
    status_words,
    telling_attributes,
    totals_line,
)
from session_manager_fleet.run import Status, Summary, TargetResult
from session_manager_fleet.targets import WARNING_DAYS, SkippedAccount, Target

_STATUS_STYLES = {
    Status.NO_CHANGES: "dim",
    Status.CHANGES: "yellow",
    Status.APPLIED: "green",
    Status.FAILED: "bold red",
    Status.NOT_STARTED: "magenta",
    Status.UNFINISHED: "bold magenta",
    Status.SKIPPED: "dim",
}
_ACTION_STYLES = {
    "replace": "bold red",
    "delete": "bold red",
    "forget": "bold red",
    "update": "yellow",
    "create": "green",
    "move": "cyan",
}
_LINE_STYLES = {"+": "green", "-": "red", "~": "yellow", " ": "dim"}
# Limits for long lists; report files are complete.
_TARGETS = 50
_CAUSES = 20
_NAMES = 12
_ATTRIBUTES = 40
_ATTRIBUTES_OF_WHOLE = 4
_WIDTH_WITH_WORKSPACES = 110


def status_text(entry: TargetResult) -> Text:
    """Return the result of a target in its colour."""
    return Text(outcome(entry), style=_STATUS_STYLES[entry.status])


def table_of(*headings: str, whole: Collection[str] = ("Account", "Region")) -> Table:
    """Return a table that never cuts a value: columns in `whole` stay on one line, the others are folded."""
    table = Table()
    for heading in headings:
        width = 12 if heading.lower() == "account" else None  # the digits of an account id
        table.add_column(heading, overflow="fold", no_wrap=heading in whole, min_width=width)
    return table


def add_row(table: Table, *cells: str | Text, style: str = "") -> None:
    """Add a row to a table; texts are escaped, as they may be anyone's, and hold no markup."""
    table.add_row(*(each if isinstance(each, Text) else Text(visible(each)) for each in cells), style=style)


def print_skipped(console: Console, skipped: Iterable[SkippedAccount]) -> None:
    """Print which accounts are skipped, in one line for each reason."""
    by_reason: dict[str, list[SkippedAccount]] = {}
    for entry in skipped:
        by_reason.setdefault(entry.reason, []).append(entry)
    for reason, entries in by_reason.items():
        if len(entries) == 1:
            text = visible(f"Skipped {entries[0].account_id} {entries[0].account_name}: {reason}.")
        else:
            names = listed([visible(entry.account_name) for entry in entries], _NAMES)
            text = f"Skipped {counted(len(entries), 'account')} ({visible(reason)}): {names}."
        console.print(Text(text, style="magenta"))


def print_targets(console: Console, targets: Sequence[Target]) -> None:
    """List targets in the order in which they are applied; a narrow terminal has no room for workspaces."""
    headings = ["Account", "Name", "Organizational unit", "Region", "Wave"]
    if console.width >= _WIDTH_WITH_WORKSPACES:
        headings.append("Workspace")
    table = table_of(*headings, whole=("Account", "Region", "Workspace"))
    for target in targets:
        account = target.account
        region = f"{target.region} (home)" if target.is_home else target.region
        cells = (account.id, account.name, account.ou, region, target.wave, target.workspace)
        add_row(table, *cells[: len(headings)])
    console.print(table)


def print_change_sets(console: Console, summary: Summary, commands: Commands | None = None) -> None:
    """Show each distinct change set once, with its targets; destructive ones first.

    Args:
        console: The console to print to.
        summary: The summary.
        commands: The lines to type; by default those of the installed program.
    """
    entries = {entry.key: entry for entry in summary.targets}
    cut = False
    for number, group in enumerate(summary.change_sets, start=1):
        change_set = group.change_set
        title = (
            f"Change set {number} ({group.fingerprint}): {action_counts(change_set)}, in "
            f"{counted(len(group.targets), 'target')}"
        )
        console.print(Text(f"\n{title}", style="bold red" if change_set.destructive else "bold"))
        for region, names in names_by_region(entries[key] for key in group.targets).items():
            console.print(Text(f"  {visible(region)}: {listed(names, _NAMES)}", style="cyan"))
        for change in change_set.changes:
            cut |= _print_change(console, change)
        if change_set.outputs:
            console.print(Text(f"      outputs: {visible(', '.join(change_set.outputs))}", style="dim"))
    if cut:
        command = (commands or Commands.of_installed(summary)).report
        console.print(Text(f"\nAll attributes: {visible(command)}", style="dim"), soft_wrap=True)


def print_recap(console: Console, summary: Summary) -> None:
    """Repeat what decides about planned changes: how many there are, each destructive one, and what is detached."""
    console.print(Text(f"\n{action_totals(summary)}, in {counted(_changed(summary), 'target')}.", style="bold"))
    for group in summary.change_sets:
        for change in group.change_set.changes:
            if change.destructive:
                where = counted(len(group.targets), "target")
                text = f"  {ACTIONS[change.action]:>3} {visible(change.address)}, in {where}: {change.action}"
                console.print(Text(text, style=_ACTION_STYLES[change.action]), soft_wrap=True)
    for entry in summary.targets:
        for attachment in entry.attachments:
            where = visible(f"{entry.account_id} {entry.account_name}")
            text = f"    - {attachment.policy_name} of {visible(str(attachment))}, in {where}: detach"
            console.print(Text(text, style=_ACTION_STYLES["delete"]), soft_wrap=True)
        for lockout in entry.lockouts:
            where = visible(f"{entry.account_id} {entry.account_name} {entry.region}")
            console.print(Text(f"    ! {visible(str(lockout))}, in {where}", style="bold red"), soft_wrap=True)


def _changed(summary: Summary) -> int:
    return sum(len(group.targets) for group in summary.change_sets)


def _print_change(console: Console, change: ResourceChange) -> bool:
    """Show the change of a resource, and return whether attributes were omitted."""
    reason = f"  ({visible(change.reason)})" if change.reason else ""
    text = f"  {ACTIONS[change.action]:>3} {visible(change.address)}{reason}"
    console.print(Text(text, style=_ACTION_STYLES[change.action]), soft_wrap=True)
    attributes = telling_attributes(change)
    in_detail = change.action in {"update", "replace"} or change.type in SHOWS_SETTINGS
    shown = attributes[: _ATTRIBUTES if in_detail else _ATTRIBUTES_OF_WHOLE]
    for line in (line for attribute in shown for line in diff_lines(attribute)):
        console.print(Text(f"        {line.symbol} {line.text}", style=_LINE_STYLES[line.symbol]), soft_wrap=True)
    if more := len(attributes) - len(shown):
        console.print(Text(f"          … and {counted(more, 'more attribute')}", style="dim"))
    return bool(more)


def print_notes(console: Console, summary: Summary) -> None:
    """Show what changes of what exists, notes about plans, exceptions and warnings."""
    for preview in previews(summary.targets):
        names = listed([visible(f"{entry.account_name} {entry.region}") for entry in preview.targets], _NAMES)
        console.print(Text(f"\n{preview.heading}, in {names}:", style="bold yellow"))
        for change in preview.changes:
            console.print(Text(f"  {preview_line(change)}", style="yellow"), soft_wrap=True)
    for note, targets in notes(summary.targets):
        names = listed([visible(f"{entry.account_name} {entry.region}") for entry in targets], _NAMES)
        console.print(Text(f"Note: {visible(note)} In {names}.", style="yellow"), soft_wrap=True)
    for exception in summary.exceptions:
        style = "yellow" if exception.days_left <= WARNING_DAYS else "cyan"
        console.print(Text(exception_line(exception), style=style), soft_wrap=True)
    for warning in summary.warnings:
        console.print(Text(f"Warning: {visible(warning)}", style="yellow"), soft_wrap=True)


def print_summary(console: Console, summary: Summary, commands: Commands | None = None) -> None:
    """Show a whole summary: change sets, notes, results; `commands` are those of `print_change_sets`."""
    print_change_sets(console, summary, commands)
    print_notes(console, summary)
    print_results(console, summary)


def print_results(console: Console, summary: Summary, *, quiet: bool = False) -> None:
    """Show the result of each target, and the failures; many targets are only counted.

    Args:
        console: The console to print to.
        summary: The summary.
        quiet: Show only failures and totals.
    """
    if quiet:
        pass
    elif len(summary.targets) <= _TARGETS:
        _print_targets_table(console, summary.targets)
    else:
        _print_waves_table(console, summary.targets)
    found = causes(summary.targets)
    for cause in found[:_CAUSES]:
        _print_cause(console, cause)
    if more := found[_CAUSES:]:
        targets = counted(sum(len(cause.targets) for cause in more), "more failed target")
        console.print(Text(f"… and {targets}: see summary.json.", style="bold red"))
    reasons = Counter((entry.status, entry.reason) for entry in summary.targets if entry.reason)
    for (status, reason), count in reasons.items():
        console.print(Text(f"{count:,} {status_words(status)}: {visible(reason)}.", style="magenta"))
    line = Text(totals_line(summary))
    line.stylize("bold", 0, line.plain.index(":") + 1)
    console.print(line)
    if summary.digest and not quiet:
        console.print(Text(f"Digest of the saved plans: {visible(summary.digest)}", style="dim"), soft_wrap=True)


def _print_targets_table(console: Console, targets: Sequence[TargetResult]) -> None:
    table = table_of(
        "Account", "Name", "Region", "Status", "Changes", "Seconds", whole=("Account", "Region", "Seconds")
    )
    for entry in targets:
        add_row(
            table,
            entry.account_id,
            entry.account_name,
            entry.region,
            status_text(entry),
            change_counts(entry),
            f"{entry.seconds:.1f}",
        )
    console.print(table)


def _print_waves_table(console: Console, targets: Sequence[TargetResult]) -> None:
    present = [status for status in Status if any(entry.status is status for entry in targets)]
    table = Table("Wave", "Targets")
    for status in present:
        table.add_column(status_words(status), justify="right", style=_STATUS_STYLES[status])
    for wave in dict.fromkeys(entry.wave for entry in targets):
        counts = Counter(entry.status for entry in targets if entry.wave == wave)
        add_row(table, wave, f"{counts.total():,}", *(f"{counts[status]:,}" for status in present))
    console.print(table)


def _print_cause(console: Console, cause: Cause) -> None:
    """Show a cause of failures once: the step, the error, and the targets that failed for it."""
    names = [visible(f"{entry.account_id} {entry.account_name} {entry.region}") for entry in cause.targets]
    if len(names) == 1:
        console.print(Text(f"{names[0]}: {failure_heading(cause)}", style="bold red"))
    else:
        console.print(Text(f"{counted(len(names), 'target')}: {failure_heading(cause)}", style="bold red"))
        console.print(Text(f"  {listed(names, _NAMES)}", style="cyan"), soft_wrap=True)
    for line in visible_lines(cause.failure.message):
        console.print(Text(f"  {line}"))
    for line in (line for diagnostic in cause.failure.diagnostics for line in visible_lines(diagnostic)):
        # Not wrapped, so that commands can be copied.
        console.print(Text(f"  {line}", style="red"), soft_wrap=True)


def table(summary: Summary, commands: Commands | None = None) -> str:
    """Return the terminal output at the end of a run, without colours."""
    console = Console(file=io.StringIO(), width=WIDE, highlight=False, emoji=False)
    print_summary(console, summary, commands)
    assert isinstance(console.file, io.StringIO)  # noqa: S101 - made above
    return console.file.getvalue()
