"""`apply`: apply the saved plans of a run, or plan, ask and apply."""

from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from session_manager_fleet.cli.options import load_inventory, selecting
from session_manager_fleet.cli.run_flow import (
    apply_planned,
    ask_and_apply,
    finish,
    finish_without_work,
    load_for_run,
    locked_run,
    plan_and_show,
    prepare,
    refuse_unattended,
    say,
    show,
    start,
    targets_of,
)
from session_manager_fleet.cli.run_options import ComponentOption, Running, applying, parse_components
from session_manager_fleet.cli.skip_clean import SkipCleanOption, refuse_skipping, verify_candidates
from session_manager_fleet.errors import InputError
from session_manager_fleet.reports import terminal
from session_manager_fleet.run import DESTROY, beginnings, refuse_other_digest, with_changes
from session_manager_fleet.targets import Selection


@applying
@selecting
def apply(
    context: typer.Context,
    selection: Selection,
    running: Running,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Apply the saved plans of this run. Without it: plan, ask, apply."),
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option(
            metavar="SHA256", help="Refuse the run unless its saved plans have this digest, which the review shows."
        ),
    ] = None,
    component: ComponentOption = None,
    skip_clean: SkipCleanOption = False,
) -> int:
    """Apply the saved plans of a run, or plan, show and apply after confirmation."""
    console = terminal.make_console()
    running = replace(running, components=parse_components(component))
    if run is not None:
        if running.components:
            raise InputError("A run already has its plans; name components when you plan.", "--component")
        if skip_clean:
            raise InputError("A run already has its plans; skip clean targets when you plan.", "--skip-clean")
        return _apply_run(context, run, digest, selection, running, console)
    if digest is not None:
        raise InputError("A digest belongs to the saved plans of a run: name the run.", "--digest")
    refuse_skipping(running, skip_clean=skip_clean)
    inventory, selected = load_for_run(context, selection, running, console, refuse_expired=True)
    refuse_unattended(running)
    with start(inventory, "apply", selected, running, console, selection) as operation:
        if skip_clean:
            quiet = running.unattended_and_quiet
            verify_candidates(operation, selected.targets, console, quiet=quiet)
        planned = plan_and_show(operation, selected.targets, console, quiet=running.unattended_and_quiet)
        return ask_and_apply(operation, planned, running, console)


def _apply_run(
    context: typer.Context, run: str, digest: str | None, selection: Selection, running: Running, console: Console
) -> int:
    if not selection.include.empty or selection.exclude or selection.everything:
        raise InputError("A run already has its targets; only --wave and --shard can narrow them.", "RUN")
    with locked_run(run, running) as (folder, lock):
        state = folder.read()
        beginnings.refuse_verification(state)
        refuse_other_digest(state.digest, digest)
        beginnings.refuse_missing_shards(state)
        waves = dict.fromkeys(result.wave for result in state.results)
        if selection.wave is not None and selection.wave not in waves:
            message = f'No target of this run is in the wave "{selection.wave}"; its waves: {", ".join(waves)}.'
            raise InputError(message, "--wave")
        destroys = state.beginning.command == DESTROY
        inventory = load_inventory(context.obj, refuse_expired=True)
        command = DESTROY if destroys else "apply"
        beginning = beginnings.continue_run(inventory, state.first, targets_of(state.results), command, selection)
        results = [result for result in state.results if beginning.covers(result)]
        pending = with_changes(results)
        if not pending:
            say(console, "This run has nothing to apply.", running)
            return finish_without_work(folder, beginning, results, console, running)
        if destroys:
            refuse_unattended(running, destroys=True)
        beginnings.refuse_skipped_waves(inventory, state, targets_of(pending), reverse=destroys)
        operation = prepare(inventory, folder, lock, beginning, targets_of(pending), running, console)
        if destroys:
            show(operation, results, console, quiet=running.unattended_and_quiet)
            return ask_and_apply(operation, results, running, console)
        applied = apply_planned(operation, results, running, console)
        return finish(operation, applied, console, quiet=running.quiet)
