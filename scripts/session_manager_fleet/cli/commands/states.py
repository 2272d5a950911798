"""`states`: list the states that no target has."""

import typer
from rich.markup import escape

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import load_inventory
from session_manager_fleet.cli.output import FormatOption, check_format, write_json
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import counted, terminal
from session_manager_fleet.targets import EVERYTHING
from session_manager_fleet.terraform import StateBackend, find_stray_states


def states(context: typer.Context, output: FormatOption = "table") -> int:
    """List states with resources that no target has: accounts and regions that have left, another home region."""
    check_format(output, "table", "json")
    inventory = load_inventory(context.obj)
    backend = StateBackend.find(inventory.settings.organization, inventory.home_region)
    found = find_stray_states(backend, inventory.select(EVERYTHING).targets)
    if output == "json":
        write_json({"schema_version": 1, "states": [vars(state) for state in found]})
        return ExitCode.CHANGES_PENDING if found else ExitCode.DONE
    console = terminal.make_console()
    for state in found:
        home = ", home region" if state.is_home else ""
        text = f"{state.account_id} {state.region}{home}: {counted(state.resources, 'resource')} in {state.key}"
        console.print(escape(text), soft_wrap=True, highlight=False)
    console.print(f"{counted(len(found), 'state')} without a target in s3://{escape(backend.bucket)}")
    if found:
        console.print("docs/lifecycle.md says how to destroy or keep what they hold.")
    else:
        hints.print_next(console, "to see what has changed", hints.command("plan", "--all"))
    return ExitCode.CHANGES_PENDING if found else ExitCode.DONE
