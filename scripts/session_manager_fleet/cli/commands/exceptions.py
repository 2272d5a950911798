"""`exceptions`: list the exception register."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import load_inventory, selecting, today
from session_manager_fleet.cli.output import check_format, write_json, write_text
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import counted, csv_table, terminal, visible
from session_manager_fleet.targets import PolicyException, Selection, register

_COLUMNS = ("owner", "reason", "expires", "days_left", "expired", "skip", "set", "targets", "where")


@selecting
def exceptions(
    context: typer.Context,
    selection: Selection,
    output: Annotated[str, typer.Option("--format", metavar="table|json|csv", help="Output format.")] = "table",
) -> int:
    """List the exceptions: owner, changes, targets, and days until they expire; with a selection, those for it."""
    check_format(output, "table", "json", "csv")
    console = terminal.make_console()
    inventory = load_inventory(context.obj, with_tags=selection.uses_tags)
    entries = register(inventory.settings, inventory.select(selection).targets, today())
    if selection.given and not selection.whole:
        entries = [entry for entry in entries if entry.targets]
    if output == "json":
        write_json({"exceptions": [entry.as_dict() for entry in entries]})
    elif output == "csv":
        _write_csv(entries)
    elif entries:
        _print_table(console, entries)
    else:
        console.print("There are no exceptions.")
    if output == "table":
        _print_next(console, entries)
    return ExitCode.DONE


def _print_next(console: Console, entries: Sequence[PolicyException]) -> None:
    """Print how to see the settings of the first target with an exception, or else the targets."""
    targets = [target for entry in entries for target in entry.targets]
    if targets:
        hints.print_next(console, "to see the settings there", hints.command("explain", *targets[0].split("/")))
    else:
        hints.print_next(console, "to list the targets", hints.on_same_targets("targets"))


def _write_csv(entries: Sequence[PolicyException]) -> None:
    rows = (
        [
            " ".join(value) if isinstance(value, tuple) else json.dumps(value) if isinstance(value, bool) else value
            for value in (values[column] for column in _COLUMNS)
        ]
        for values in (entry.as_dict() for entry in entries)
    )
    write_text(csv_table(_COLUMNS, rows))


def _print_table(console: Console, entries: Sequence[PolicyException]) -> None:
    headings = ("Days left", "Expires", "Owner", "Skips", "Sets", "Targets", "Reason", "Where")
    table = terminal.table_of(*headings, whole=("Expires",))
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
            Text(visible(entry.where)),
        )
    console.print(table)
    for entry in entries:
        console.print(Text(visible(f"{entry.where}: {', '.join(entry.targets) or 'matches no target'}"), style="dim"))
    console.print(f"{counted(len(entries), 'exception')}, {sum(entry.expired for entry in entries)} expired")
