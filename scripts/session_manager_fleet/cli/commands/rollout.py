"""Commands that run terraform: plan, apply, resume and destroy."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.cli.options import load, load_context, selecting, today, warnings_of
from session_manager_fleet.cli.run_options import Running, applying, planning
from session_manager_fleet.errors import FleetError, InputError
from session_manager_fleet.reports import terminal
from session_manager_fleet.run import (
    DESTROY,
    SUMMARY,
    Beginning,
    Operation,
    RunFolder,
    RunLock,
    TargetResult,
    beginnings,
    exit_code,
    find_run,
    handled_signals,
    unfinished,
    with_changes,
)
from session_manager_fleet.targets import EVERYTHING, Inventory, Selection, Target, TargetList, register

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or its folder.")]


@planning
@selecting
def plan(context: typer.Context, selection: Selection, running: Running) -> int:
    """Plan every target and show equal change sets once; nothing is changed."""
    console = terminal.make_console()
    loaded, selected = _load(context, selection, running, console, refuse_expired=True)
    with start(loaded, "plan", selected, running, console, selection) as operation:
        results = plan_and_show(operation, selected.targets, console, quiet=running.quiet)
        return finish(operation, results, console, quiet=running.quiet)


@applying
@selecting
def apply(
    context: typer.Context,
    selection: Selection,
    running: Running,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Apply the plans of this run; without it, plan first and ask."),
    ] = None,
) -> int:
    """Apply saved plans: those of a run, or of a plan that is made and shown first."""
    console = terminal.make_console()
    if run is not None:
        return _apply_run(context, run, selection, running, console)
    loaded, selected = _load(context, selection, running, console, refuse_expired=True)
    _refuse_silence(running)
    with start(loaded, "apply", selected, running, console, selection) as operation:
        planned = plan_and_show(operation, selected.targets, console, quiet=_unasked(running))
        return _ask_and_apply(operation, planned, running, console)


def _apply_run(context: typer.Context, run: str, selection: Selection, running: Running, console: Console) -> int:
    if not selection.include.empty or selection.exclude or selection.everything:
        raise InputError("The targets are those of the run; only --wave and --shard may narrow them.", "RUN")
    with _claimed(run, running) as (folder, claim):
        state = folder.read()
        beginnings.refuse_missing_shards(state)
        waves = dict.fromkeys(result.wave for result in state.results)
        if selection.wave is not None and selection.wave not in waves:
            message = f'No target of this run is in the wave "{selection.wave}"; its waves: {", ".join(waves)}.'
            raise InputError(message, "--wave")
        destroys = state.beginning.command == DESTROY
        loaded = load_context(context.obj, refuse_expired=True)
        command = DESTROY if destroys else "apply"
        beginning = beginnings.continue_run(loaded, state.first, _targets(state.results), command, selection)
        results = [result for result in state.results if beginning.covers(result)]
        pending = with_changes(results)
        if not pending:
            _say(console, "This run holds nothing to apply.", running)
            return _nothing_to_do(folder, beginning, results)
        if destroys:
            _refuse_silence(running, destroys=True)
        beginnings.refuse_skipped_waves(loaded, state, _targets(pending), reverse=destroys)
        operation = _take_up(loaded, folder, claim, beginning, _targets(pending), running, console)
        if destroys:
            _show(operation, results, console, quiet=_unasked(running))
            return _ask_and_apply(operation, results, running, console)
        applied = apply_planned(operation, results, running, console)
        return finish(operation, applied, console, quiet=running.quiet)


@contextmanager
def _claimed(run: str, running: Running) -> Iterator[tuple[RunFolder, RunLock]]:
    """Find a run, claim it and make it private; only then its journal tells what is left to do."""
    folder = find_run(run, running.runs)
    folder.refuse_if_absent()
    with folder.writing():
        claim = RunLock.take(folder.path.parent, folder.run_id)
    with claim:
        folder.tighten()
        yield folder, claim


def _nothing_to_do(folder: RunFolder, beginning: Beginning, results: Sequence[TargetResult]) -> int:
    """Note that a command had nothing to do: the run of a shard may be merged with others."""
    code = exit_code(results, missing_shards=beginning.missing_shards)
    folder.begin(beginning)
    folder.end(code)
    folder.write_summary()
    return code


@applying
def resume(context: typer.Context, run: RunArgument, running: Running) -> int:
    """Do what a run has left undone: plan again what failed or was interrupted, apply what is planned, ask first."""
    console = terminal.make_console()
    with _claimed(run, running) as (folder, claim):
        state = folder.read()
        command = state.beginning.command
        applies = command != "plan"
        again = unfinished(state.scope)
        pending = again + (with_changes(state.scope) if applies else [])
        if not pending:
            missing = state.first.missing_shards
            told = f"Shard {', '.join(missing)} is missing from this run." if missing else "This run is complete."
            _say(console, told, running)
            return _nothing_to_do(folder, state.beginning.model_copy(update={"targets": ()}), state.scope)
        if applies:
            _refuse_silence(running, destroys=command == DESTROY)
        loaded = load_context(context.obj, refuse_expired=True)
        beginnings.refuse_other_configuration(loaded, state)
        beginning = beginnings.continue_run(loaded, state.beginning, _targets(state.results), command)
        operation = _take_up(loaded, folder, claim, beginning, _targets(pending), running, console)
        operation.indeterminate |= state.indeterminate
        indeterminate = sum(result.key in state.indeterminate for result in again)
        unknown = f"; the apply of {indeterminate} of them may be partial" if indeterminate else ""
        _say(console, f"{len(again)} of {len(state.scope)} targets are planned again{unknown}.", running)
        with operation.interruptible(console.print):
            renewed = {result.key: result for result in operation.plan(_targets(again))}
        results = [renewed.get(result.key, result) for result in state.scope]
        _show(operation, results, console, quiet=_unasked(running) if applies else running.quiet)
        if applies:
            return _ask_and_apply(operation, results, running, console)
        return finish(operation, results, console, quiet=running.quiet)


@applying
@selecting
def destroy(context: typer.Context, selection: Selection, running: Running) -> int:
    """Remove what was applied, the last wave first and home regions last; documents become what on_destroy says.

    What on_destroy says counts as it was last applied.
    """
    console = terminal.make_console()
    loaded, selected = _load(context, selection, running, console)
    _refuse_silence(running, destroys=True)
    with start(loaded, DESTROY, selected, running, console, selection) as operation:
        planned = plan_and_show(operation, selected.targets, console, quiet=_unasked(running))
        return _ask_and_apply(operation, planned, running, console)


def _load(
    context: typer.Context, selection: Selection, running: Running, console: Console, *, refuse_expired: bool = False
) -> tuple[Inventory, TargetList]:
    shown = Console(quiet=True) if running.quiet else console
    return load(context.obj, selection, shown, refuse_expired=refuse_expired)


def _refuse_silence(running: Running, *, destroys: bool = False) -> None:
    """Refuse to change anything that nobody is asked about."""
    if not running.yes and not sys.stdin.isatty():
        raise InputError("Nobody is there to be asked: use --yes, or plan first and apply that run.", "--yes")
    if destroys and running.yes and not running.options.allow_destroy:
        message = "Keys, log groups and buckets would be deleted without anybody being asked: add --allow-destroy."
        raise InputError(message, "--yes")


def _unasked(running: Running) -> bool:
    """Tell whether to be quiet about what is going to be done; whoever is asked has to see it."""
    return running.quiet and running.yes


def _say(console: Console, text: str, running: Running) -> None:
    if not running.quiet:
        console.print(text)


def _ask_and_apply(operation: Operation, planned: Sequence[TargetResult], running: Running, console: Console) -> int:
    results, count = list(planned), len(with_changes(planned))
    if count and not operation.stop.is_set() and (running.yes or _agreed(operation, count)):
        results = apply_planned(operation, results, running, console)
    return finish(operation, results, console, quiet=running.quiet)


def _agreed(operation: Operation, count: int) -> bool:
    """Ask whether to go on with so many targets; to destroy, it takes more than a yes."""
    if not operation.destroys:
        return _asked(operation, lambda: typer.confirm(f"Apply to {count} targets?"))
    organization = operation.context.settings.organization.id
    question = f"Destroy in {count} targets of {organization}? Type their number or the organization's id to go on"
    agreed = _asked(operation, lambda: typer.prompt(question) in {str(count), organization})
    if agreed:
        operation.allow_destroy()
    return agreed


def _asked(operation: Operation, ask: Callable[[], bool]) -> bool:
    """Ask; an interruption is a no that stops the run."""
    try:
        with handled_signals(signal.default_int_handler):
            return ask()
    except (KeyboardInterrupt, typer.Abort):
        operation.stop.set()
        return False


def _targets(results: Sequence[TargetResult]) -> list[Target]:
    return [result.target for result in results]


@contextmanager
def start(
    context: Inventory,
    command: str,
    selected: TargetList,
    running: Running,
    console: Console,
    selection: Selection = EVERYTHING,
) -> Iterator[Operation]:
    """Make the folder of a new run, get terraform ready for its targets, and keep other runs away from them."""
    beginning = beginnings.begin_run(
        context,
        command,
        selected,
        selection,
        warnings=warnings_of(context),
        exceptions=[entry for entry in register(context.settings, selected.targets, today()) if entry.targets],
    )
    run = RunFolder.create(running.runs)
    with ExitStack() as stack:
        try:
            with run.writing():
                claim = stack.enter_context(RunLock.take(running.runs, run.run_id))
            operation = _take_up(context, run, claim, beginning, selected.targets, running, console)
        except FleetError:
            run.discard()
            raise
        except KeyboardInterrupt:
            run.discard(with_logs=True)
            raise
        yield operation


def _take_up(
    context: Inventory,
    run: RunFolder,
    claim: RunLock,
    beginning: Beginning,
    targets: Sequence[Target],
    running: Running,
    console: Console,
) -> Operation:
    observer = terminal.TerminalProgress(console, quiet=running.quiet)
    return Operation.prepare(context, run, claim, beginning, targets, observer, running.options)


def plan_and_show(
    operation: Operation, targets: Sequence[Target], console: Console, *, quiet: bool = False
) -> list[TargetResult]:
    """Plan targets, and show equal change sets once."""
    with operation.interruptible(console.print):
        results = operation.plan(targets)
    _show(operation, results, console, quiet=quiet)
    return results


def _show(operation: Operation, results: Sequence[TargetResult], console: Console, *, quiet: bool) -> None:
    """Show what there is to apply, and what else should be known before."""
    if quiet:
        return
    summary = operation.run.summarize(operation.run.read(), with_changes(results))
    terminal.print_change_sets(console, summary)
    terminal.print_notes(console, summary)


def apply_planned(
    operation: Operation, planned: Sequence[TargetResult], running: Running, console: Console
) -> list[TargetResult]:
    """Apply what was planned, and return one result for each target."""

    def between(done: str, following: str) -> bool:
        question = f"The wave {done} is through. Go on with {following}?"
        return not running.confirm_waves or _asked(operation, lambda: typer.confirm(question))

    with operation.interruptible(console.print):
        return operation.apply(planned, between)


def finish(operation: Operation, results: Sequence[TargetResult], console: Console, *, quiet: bool = False) -> int:
    """Close the run, show what became of it, and return the exit code."""
    code, summary = operation.finish(results)
    if not quiet:
        console.print()
    terminal.print_results(console, summary, quiet=quiet)
    path = os.path.relpath(operation.run.path / SUMMARY)
    console.print(f"Run {operation.run.run_id}: {escape(path)}")
    return code
