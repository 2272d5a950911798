"""Terminal output of `verify`."""

from rich.console import Console
from rich.text import Text

from session_manager_fleet.reports.safe_text import visible, visible_lines
from session_manager_fleet.reports.terminal.tables import table_of
from session_manager_fleet.reports.text import counted, listed
from session_manager_fleet.reports.verification.groups import FindingGroup, groups
from session_manager_fleet.reports.verification.text import (
    comparison_line,
    history_words,
    totals_line,
    verdict_words,
)
from session_manager_fleet.verify import Severity, Verdict, Verification, age_text

_STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
}
# Targets that a group names, and logs that are listed.
_NAMES, _LOGS = 12, 50


def print_verification(console: Console, verification: Verification) -> None:
    """Print equal findings once with their targets and cure, the worst first; the newest logs; and the totals."""
    for group in groups(verification.targets, {Verdict.FINDING, Verdict.NOT_CHECKED}):
        _print_group(console, group)
    _print_newest_logs(console, verification)
    for target in verification.targets:
        if target.failure:
            text = f"No access to {target.account_id}/{target.region}: {visible(target.failure)}"
            console.print(Text(text, style="bold red"), soft_wrap=True)
    if line := comparison_line(verification):
        console.print(Text(visible(line)), soft_wrap=True)
    console.print(Text(totals_line(verification)), soft_wrap=True)


def _print_group(console: Console, group: FindingGroup) -> None:
    check = group.check
    style = "bold red" if check.verdict is Verdict.NOT_CHECKED else _STYLES.get(check.severity or Severity.MEDIUM, "")
    count = counted(len(group.targets), "target")
    history = history_words(check) if len(group.targets) == 1 else f"{group.new} new" if group.new else ""
    heading = f"{verdict_words(check)}: {check.name}, in {count}{f' ({history})' if history else ''}"
    console.print(Text(visible(heading), style=style), soft_wrap=True)
    names = [visible(f"{each.account_id} {each.account_name} {each.region}") for each in group.targets]
    console.print(Text(f"  {listed(names, _NAMES)}", style="cyan"), soft_wrap=True)
    # Not wrapped, so that commands can be copied.
    for line in visible_lines(check.message):
        console.print(Text(f"  {line}"), soft_wrap=True)
    for line in check.exceptions:
        console.print(Text(f"  {visible(line)}"), soft_wrap=True)
    for line in visible_lines(check.fix or ""):
        console.print(Text(f"  Fix: {line}" if line else "", style="bold"), soft_wrap=True)
    if check.command:
        console.print(Text(f"    {visible(check.command)}"), soft_wrap=True)


def _print_newest_logs(console: Console, verification: Verification) -> None:
    """Print the newest log of every target that has any; of many targets, that is in the other formats."""
    found = [
        (target, check.newest_log)
        for target in verification.targets
        for check in target.checks
        if check.newest_log is not None
    ]
    if not found or len(found) > _LOGS:
        return
    table = table_of("account", "region", "newest log", "age", whole=("region",))
    for target, log in found:
        account = Text(f"{target.account_id} {visible(target.account_name)}")
        table.add_row(account, Text(target.region), Text(visible(log.key)), Text(age_text(log.age_seconds)))
    console.print(table)
