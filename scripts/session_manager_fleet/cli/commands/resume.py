"""`resume`: complete a run that failed or was interrupted."""

from typing import Annotated

import typer

from session_manager_fleet.cli.options import load_inventory
from session_manager_fleet.cli.run_flow import (
    ask_and_apply,
    finish,
    finish_without_work,
    locked_run,
    prepare,
    refuse_unattended,
    say,
    show,
    targets_of,
)
from session_manager_fleet.cli.run_options import Running, applying
from session_manager_fleet.reports import terminal
from session_manager_fleet.run import DESTROY, beginnings, unfinished, with_changes


@applying
def resume(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or its folder.")],
    running: Running,
) -> int:
    """Complete a run: plan again what failed or was interrupted, and apply what is planned after confirmation."""
    console = terminal.make_console()
    with locked_run(run, running) as (folder, lock):
        state = folder.read()
        beginnings.refuse_verification(state)
        command = state.beginning.command
        applies = command != "plan"
        again = unfinished(state.scope)
        pending = again + (with_changes(state.scope) if applies else [])
        if not pending:
            missing = state.first.missing_shards
            text = f"Shard {', '.join(missing)} is missing from this run." if missing else "This run is complete."
            say(console, text, running)
            ended = state.beginning.model_copy(update={"targets": ()})
            return finish_without_work(folder, ended, state.scope, console, running)
        if applies:
            refuse_unattended(running, destroys=command == DESTROY)
        inventory = load_inventory(context.obj, refuse_expired=True)
        beginnings.refuse_other_configuration(inventory, state)
        beginning = beginnings.continue_run(inventory, state.beginning, targets_of(state.results), command)
        operation = prepare(inventory, folder, lock, beginning, targets_of(pending), running, console)
        operation.indeterminate |= state.indeterminate
        partial = sum(result.key in state.indeterminate for result in again)
        note = f"; an apply of {partial} of them was interrupted and may be partial" if partial else ""
        say(console, f"Planning {len(again)} of {len(state.scope)} targets again{note}.", running)
        with operation.interruptible(console.print):
            renewed = {result.key: result for result in operation.plan(targets_of(again))}
        results = [renewed.get(result.key, result) for result in state.scope]
        show(operation, results, console, quiet=running.unattended_and_quiet if applies else running.quiet)
        if applies:
            return ask_and_apply(operation, results, running, console)
        return finish(operation, results, console, quiet=running.quiet)
