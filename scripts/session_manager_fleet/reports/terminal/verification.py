"""Terminal output of `verify`."""

from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.text import Text

from session_manager_fleet.reports.commands import installed
from session_manager_fleet.reports.safe_text import visible
from session_manager_fleet.reports.terminal.tables import table_of
from session_manager_fleet.reports.text import counted
from session_manager_fleet.verify import TargetVerification, Verdict, age_text

_STYLES = {Verdict.FINDING: "yellow", Verdict.NOT_CHECKED: "bold red"}


def print_verification(
    console: Console, verified: Sequence[TargetVerification], line: Callable[..., str] = installed
) -> None:
    """Print the findings with their fixes, the newest logs, and the number of checks by verdict.

    Args:
        console: The console to print to.
        verified: The checks of all targets.
        line: Returns the line to type for the words of a command; by default that of the installed program.
    """
    rows = [
        (one.target, check)
        for one in verified
        for check in one.checks
        if check.verdict in {Verdict.FINDING, Verdict.NOT_CHECKED}
    ]
    if rows:
        table = table_of("account", "region", "check", "finding", "fix", whole=("region",))
        table.show_lines = True
        for target, check in rows:
            table.add_row(
                Text(f"{target.account.id}\n{visible(target.account.name)}"),
                Text(target.region),
                Text(f"{check.name}\n{check.verdict.value.replace('_', ' ')}", style=_STYLES[check.verdict]),
                Text(visible(check.message)),
                Text(
                    "\n".join(
                        map(visible, [check.fix, *([line(*words)] if (words := check.command_in(target)) else [])])
                    )
                ),
            )
        console.print(table)
    _print_newest_logs(console, verified)
    for one in verified:
        if one.failure:
            console.print(Text(f"No access to {one.target.key}: {visible(one.failure)}", style="bold red"))
    counts = Counter(check.verdict for one in verified for check in one.checks)
    totals = ", ".join(f"{counts[verdict]} {verdict.value.replace('_', ' ')}" for verdict in Verdict if counts[verdict])
    console.print(f"{counted(len(verified), 'target')}: {totals or 'nothing was checked'}")


def _print_newest_logs(console: Console, verified: Sequence[TargetVerification]) -> None:
    """Print the newest log of every target that has any."""
    found = [
        (one.target, check.newest_log)
        for one in verified
        for check in one.checks
        if check.name == "logs" and check.newest_log
    ]
    if not found:
        return
    table = table_of("account", "region", "newest log", "age", whole=("region",))
    for target, log in found:
        account = Text(f"{target.account.id} {visible(target.account.name)}")
        table.add_row(account, Text(target.region), Text(visible(log.key)), Text(age_text(log.age_seconds)))
    console.print(table)
