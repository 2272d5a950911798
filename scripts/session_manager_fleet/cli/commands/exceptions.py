"""`exceptions`: list the exception register."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from session_manager_fleet.cli.options import load_inventory, today
from session_manager_fleet.cli.output import FormatOption, check_format, write_json
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import terminal, visible
from session_manager_fleet.targets import Selection, register


def exceptions(context: typer.Context, output: FormatOption = "table") -> int:
    """List the exceptions: owner, changes, targets, and days until they expire."""
    check_format(output, "table", "json")
    inventory = load_inventory(context.obj)
    entries = register(inventory.settings, inventory.select(Selection(everything=True)).targets, today())
    if output == "json":
        write_json({"exceptions": [entry.as_dict() for entry in entries]})
        return ExitCode.DONE
    console = terminal.make_console()
    table = Table("Days left", "Expires", "Owner", "Skips", "Sets", "Targets", "Reason", "Where")
    for column in table.columns[3:]:
        column.overflow = "fold"
    for entry in entries:
        days_left = Text(str(entry.days_left), style="bold red" if entry.expired else "")
        table.add_row(
            days_left,
            entry.expires.isoformat(),
            Text(visible(entry.owner)),
            ", ".join(entry.skip),
            Text(visible(", ".join(entry.set))),
            str(len(entry.targets)),
            Text(visible(entry.reason)),
            Text(entry.where),
        )
    console.print(table)
    for entry in entries:
        console.print(Text(f"{entry.where}: {', '.join(entry.targets) or 'matches no target'}", style="dim"))
    console.print(f"{len(entries)} exceptions, {sum(entry.expired for entry in entries)} expired")
    return ExitCode.DONE
