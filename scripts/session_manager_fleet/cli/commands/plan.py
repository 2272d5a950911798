"""`plan`: plan targets."""

from dataclasses import replace

import typer

from session_manager_fleet.cli.options import selecting
from session_manager_fleet.cli.run_flow import finish, load_for_run, plan_and_show, start
from session_manager_fleet.cli.run_options import ComponentOption, Running, parse_components, planning
from session_manager_fleet.cli.skip_clean import SkipCleanOption, refuse_skipping, verify_candidates
from session_manager_fleet.reports import terminal
from session_manager_fleet.targets import Selection


@planning
@selecting
def plan(
    context: typer.Context,
    selection: Selection,
    running: Running,
    component: ComponentOption = None,
    skip_clean: SkipCleanOption = False,
) -> int:
    """Plan targets and show equal change sets once; changes nothing."""
    console = terminal.make_console()
    running = replace(running, components=parse_components(component))
    refuse_skipping(running, skip_clean=skip_clean)
    inventory, selected = load_for_run(context, selection, running, console, refuse_expired=True)
    with start(inventory, "plan", selected, running, console, selection) as operation:
        if skip_clean:
            verify_candidates(operation, selected.targets, console, quiet=running.quiet)
        results = plan_and_show(operation, selected.targets, console, quiet=running.quiet)
        return finish(operation, results, console, quiet=running.quiet)
