"""`destroy`: remove what was applied."""

import typer

from session_manager_fleet.cli.options import selecting
from session_manager_fleet.cli.run_flow import ask_and_apply, load_for_run, plan_and_show, refuse_unattended, start
from session_manager_fleet.cli.run_options import Running, applying
from session_manager_fleet.reports import terminal
from session_manager_fleet.run import DESTROY
from session_manager_fleet.targets import Selection


@applying
@selecting
def destroy(context: typer.Context, selection: Selection, running: Running) -> int:
    """Destroy targets, the last wave first and home regions last; on_destroy decides what happens to documents.

    The value of on_destroy is the one of the last apply.
    """
    console = terminal.make_console()
    inventory, selected = load_for_run(context, selection, running, console)
    refuse_unattended(running, destroys=True)
    with start(inventory, DESTROY, selected, running, console, selection) as operation:
        planned = plan_and_show(operation, selected.targets, console, quiet=running.unattended_and_quiet)
        return ask_and_apply(operation, planned, running, console)
