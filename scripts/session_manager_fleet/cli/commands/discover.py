"""`discover`: list or save the accounts of the organization."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from session_manager_fleet.accounts import save
from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import Source, load_inventory
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import counted, terminal


def discover(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Save the accounts as JSON for --read-from.")
    ] = None,
    tags: Annotated[bool, typer.Option("--tags", help="Read account tags even if no matcher needs them.")] = False,
) -> int:
    """List all accounts of the organization, or save them for use without AWS access."""
    console = terminal.make_console()
    organization = load_inventory(context.obj, with_tags=tags).organization
    if output is not None:
        save(organization, output)
        console.print(f"{counted(len(organization.accounts), 'account')} saved in {escape(str(output))}")
        source: Source = context.obj
        hints.remember_files(source.config, output)
        hints.print_next(console, "to list the targets without access to AWS", hints.command("targets"))
        return ExitCode.DONE
    table = terminal.table_of("Account", "Name", "Organizational unit", "Role", "Skipped because")
    for account in organization.accounts:
        terminal.add_row(table, account.id, account.name, account.ou, account.role, account.skip_reason)
    console.print(table)
    console.print(counted(len(organization.accounts), "account"))
    hints.print_next(console, "to list the targets", hints.command("targets"))
    return ExitCode.DONE
