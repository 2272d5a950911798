"""Steps that the commands plan, apply, resume, destroy and demo share: start, plan, show, ask, apply, finish."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.cli.options import load, today, warnings_of
from session_manager_fleet.cli.run_options import Running
from session_manager_fleet.errors import FleetError, InputError
from session_manager_fleet.reports import terminal
from session_manager_fleet.run import (
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
    with_changes,
)
from session_manager_fleet.targets import EVERYTHING, Inventory, Selection, Target, TargetList, register


def load_for_run(
    context: typer.Context, selection: Selection, running: Running, console: Console, *, refuse_expired: bool = False
) -> tuple[Inventory, TargetList]:
    """Load the inventory and select targets; with --quiet, skipped accounts are not shown."""
    shown = Console(quiet=True) if running.quiet else console
    return load(context.obj, selection, shown, refuse_expired=refuse_expired)


def refuse_unattended(running: Running, *, destroys: bool = False) -> None:
    """Refuse changes that no one confirms.

    Raises:
        InputError: Standard input is not a terminal and --yes is missing, or --allow-destroy is missing with --yes.
    """
    if not running.yes and not sys.stdin.isatty():
        message = (
            "Cannot ask for confirmation: standard input is not a terminal. Use --yes, or plan and then apply RUN."
        )
        raise InputError(message, "--yes")
    if destroys and running.yes and not running.options.allow_destroy:
        message = "Keys, log groups and buckets would be deleted without confirmation; add --allow-destroy."
        raise InputError(message, "--yes")


@contextmanager
def start(
    inventory: Inventory,
    command: str,
    selected: TargetList,
    running: Running,
    console: Console,
    selection: Selection = EVERYTHING,
) -> Iterator[Operation]:
    """Create the folder of a new run, lock its targets against other runs, and initialize Terraform for them."""
    beginning = beginnings.begin_run(
        inventory,
        command,
        selected,
        selection,
        warnings=warnings_of(inventory),
        exceptions=[entry for entry in register(inventory.settings, selected.targets, today()) if entry.targets],
    )
    run = RunFolder.create(running.runs)
    with ExitStack() as stack:
        try:
            with run.writing():
                lock = stack.enter_context(RunLock.take(running.runs, run.run_id))
            operation = prepare(inventory, run, lock, beginning, selected.targets, running, console)
        except FleetError:
            run.discard()
            raise
        except KeyboardInterrupt:
            run.discard(with_logs=True)
            raise
        yield operation


@contextmanager
def locked_run(run: str, running: Running) -> Iterator[tuple[RunFolder, RunLock]]:
    """Find an existing run, lock it and make it private; read its journal only after that."""
    folder = find_run(run, running.runs)
    folder.refuse_if_absent()
    with folder.writing():
        lock = RunLock.take(folder.path.parent, folder.run_id)
    with lock:
        folder.tighten()
        yield folder, lock


def prepare(
    inventory: Inventory,
    run: RunFolder,
    lock: RunLock,
    beginning: Beginning,
    targets: Sequence[Target],
    running: Running,
    console: Console,
) -> Operation:
    """Prepare the operation of a locked run."""
    observer = terminal.TerminalProgress(console, quiet=running.quiet)
    return Operation.prepare(inventory, run, lock, beginning, targets, observer, running.options)


def plan_and_show(
    operation: Operation, targets: Sequence[Target], console: Console, *, quiet: bool = False
) -> list[TargetResult]:
    """Plan targets, and show equal change sets once."""
    with operation.interruptible(console.print):
        results = operation.plan(targets)
    show(operation, results, console, quiet=quiet)
    return results


def show(operation: Operation, results: Sequence[TargetResult], console: Console, *, quiet: bool) -> None:
    """Show planned changes, adoption previews, exceptions and warnings."""
    if quiet:
        return
    summary = operation.run.summarize(operation.run.read(), with_changes(results))
    terminal.print_change_sets(console, summary)
    terminal.print_notes(console, summary)


def ask_and_apply(operation: Operation, planned: Sequence[TargetResult], running: Running, console: Console) -> int:
    """Apply planned changes after confirmation, finish the run, and return the exit code."""
    results, count = list(planned), len(with_changes(planned))
    if count and not operation.stop.is_set() and (running.yes or _confirmed(operation, count)):
        results = apply_planned(operation, results, running, console)
    return finish(operation, results, console, quiet=running.quiet)


def _confirmed(operation: Operation, count: int) -> bool:
    """Ask for confirmation; a destruction requires to type the number of targets or the organization's id."""
    if not operation.destroys:
        return _ask(operation, lambda: typer.confirm(f"Apply to {count} targets?"))
    organization = operation.inventory.settings.organization.id
    question = f"Destroy {count} targets of {organization}? Type their number or the organization's id to confirm"
    confirmed = _ask(operation, lambda: typer.prompt(question) in {str(count), organization})
    if confirmed:
        operation.allow_destroy()
    return confirmed


def _ask(operation: Operation, ask: Callable[[], bool]) -> bool:
    """Ask a question; Ctrl-C means no and stops the run."""
    try:
        with handled_signals(signal.default_int_handler):
            return ask()
    except (KeyboardInterrupt, typer.Abort):
        operation.stop.set()
        return False


def apply_planned(
    operation: Operation, planned: Sequence[TargetResult], running: Running, console: Console
) -> list[TargetResult]:
    """Apply planned changes, and return one result for each target."""

    def between(done: str, following: str) -> bool:
        question = f"Wave {done} is done. Continue with {following}?"
        return not running.confirm_waves or _ask(operation, lambda: typer.confirm(question))

    with operation.interruptible(console.print):
        return operation.apply(planned, between)


def finish(operation: Operation, results: Sequence[TargetResult], console: Console, *, quiet: bool = False) -> int:
    """End the run, show its results, and return the exit code."""
    code, summary = operation.finish(results)
    if not quiet:
        console.print()
    terminal.print_results(console, summary, quiet=quiet)
    path = os.path.relpath(operation.run.path / SUMMARY)
    console.print(f"Run {operation.run.run_id}: {escape(path)}")
    return code


def finish_without_work(folder: RunFolder, beginning: Beginning, results: Sequence[TargetResult]) -> int:
    """End a run in which nothing was left to do, and return the exit code; a shard's run can still be merged."""
    code = exit_code(results, missing_shards=beginning.missing_shards)
    folder.begin(beginning)
    folder.end(code)
    folder.write_summary()
    return code


def say(console: Console, text: str, running: Running) -> None:
    """Print a text, unless --quiet is given."""
    if not running.quiet:
        console.print(text)


def targets_of(results: Sequence[TargetResult]) -> list[Target]:
    """Return the targets of results."""
    return [result.target for result in results]
