"""Steps that the commands plan, apply, resume, destroy and demo share: start, plan, show, ask, apply, finish."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.notify import notify
from session_manager_fleet.cli.options import load, today, warnings_of
from session_manager_fleet.cli.output import warn
from session_manager_fleet.cli.run_options import Running
from session_manager_fleet.errors import ExitCode, FleetError, InputError
from session_manager_fleet.reports import RUN, Commands, counted, terminal
from session_manager_fleet.run import (
    DESTROY,
    JOURNAL,
    SUMMARY,
    Beginning,
    Operation,
    RunFolder,
    RunLock,
    Summary,
    TargetResult,
    beginnings,
    exit_code,
    find_run,
    handled_signals,
    order,
    prerequisites,
    with_changes,
)
from session_manager_fleet.targets import EVERYTHING, Inventory, Selection, Target, TargetList, register
from session_manager_fleet.terraform import provider_source


def load_for_run(
    context: typer.Context, selection: Selection, running: Running, console: Console, *, refuse_expired: bool = False
) -> tuple[Inventory, TargetList]:
    """Load the inventory and select targets; with --quiet, skipped accounts are not shown.

    Raises:
        FleetError: It cannot be loaded; what this machine lacks is reported with that.
    """
    shown = Console(quiet=True) if running.quiet else console
    try:
        return load(context.obj, selection, shown, refuse_expired=refuse_expired, ask_regions=True)
    except FleetError as error:
        prerequisites.refuse_missing(prerequisites.examine(_of_machine(running)), error)
        raise


def refuse_unattended(running: Running, *, destroys: bool = False) -> None:
    """Refuse changes that no one confirms.

    Raises:
        InputError: Standard input is not a terminal and --yes is missing, or --allow-destroy is missing with --yes.
    """
    if not running.yes and not sys.stdin.isatty():
        options = ["--yes", "--allow-destroy"] if destroys else ["--yes"]
        message = f"Cannot ask for confirmation: standard input is not a terminal. Use {' and '.join(options)}"
        message += "." if destroys else ", or plan and then apply RUN."
        raise InputError(message, "--yes", next_options=options)
    if destroys and running.yes and not running.options.allow_destroy:
        message = "Keys, log groups and buckets would be deleted without confirmation; add --allow-destroy."
        raise InputError(message, "--yes", next_options=["--allow-destroy"])


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
        components=running.components,
        exceptions=[entry for entry in register(inventory.settings, selected.targets, today()) if entry.targets],
    )
    _check(inventory, selected.targets, command, running, console)
    if command != DESTROY:
        order.refuse_before_log_archive(inventory, selected.targets, selection)
        strays = order.stray_states(inventory)
        order.refuse_other_home_region(inventory, selected.targets, strays)
        shown = order.strays_of(strays, selected.targets, selection)
        warned = (*beginning.warnings, *map(order.stray_warning, shown))
        beginning = beginning.model_copy(update={"warnings": warned})
    run = RunFolder.create(running.runs)
    with ExitStack() as stack:
        try:
            with run.writing():
                lock = stack.enter_context(RunLock.take(running.runs, run.run_id))
            operation = _prepare(inventory, run, lock, beginning, selected.targets, running, console)
        except FleetError:
            run.discard()
            raise
        except KeyboardInterrupt:
            run.discard(with_logs=True)
            raise
        yield operation


def refuse_absent_run(folder: RunFolder) -> None:
    """Refuse a folder that holds no run.

    Raises:
        InputError: The latest run's report is the next command, if there is any run.
    """
    try:
        folder.refuse_if_absent()
    except InputError as error:
        others = sorted(path.parent for path in folder.path.parent.glob(f"*/{JOURNAL}"))
        error.next_command = ("report", hints.reference_of(others[-1])) if others else ("plan", "--all")
        raise


@contextmanager
def locked_run(run: str, running: Running) -> Iterator[tuple[RunFolder, RunLock]]:
    """Find an existing run, lock it and make it private; read its journal only after that."""
    folder = find_run(run, running.runs)
    refuse_absent_run(folder)
    with folder.writing():
        lock = RunLock.take(folder.path.parent, folder.run_id)
    with lock:
        folder.tighten()
        try:
            yield folder, lock
        except FleetError as error:
            reference = hints.reference_of(folder.path)
            error.next_command = tuple(reference if word == RUN else word for word in error.next_command)
            if isinstance(error, prerequisites.RoleError):
                error.next_options = ()  # a run keeps its targets
            raise


def prepare(
    inventory: Inventory,
    run: RunFolder,
    lock: RunLock,
    beginning: Beginning,
    targets: Sequence[Target],
    running: Running,
    console: Console,
) -> Operation:
    """Prepare the operation of an earlier run that is locked, once nothing is missing that it needs.

    Raises:
        FleetError: Something is missing; all of it is reported at once.
    """
    _check(inventory, targets, beginning.command, running, console)
    return _prepare(inventory, run, lock, beginning, targets, running, console)


def _prepare(
    inventory: Inventory,
    run: RunFolder,
    lock: RunLock,
    beginning: Beginning,
    targets: Sequence[Target],
    running: Running,
    console: Console,
) -> Operation:
    observer = terminal.TerminalProgress(console, quiet=running.quiet)
    return Operation.prepare(inventory, run, lock, beginning, targets, observer, running.options)


def _check(inventory: Inventory, targets: Sequence[Target], command: str, running: Running, console: Console) -> None:
    """Check everything that the command needs, and say which provider it uses if it had to be searched for."""
    needed = [
        *_of_machine(running),
        *prerequisites.of_organization(inventory, targets, changes=command != "plan"),
    ]
    outcomes = prerequisites.examine(needed)
    waves = {} if command == "plan" else {wave.name: wave.max_failures for wave in inventory.settings.waves}
    tolerated = [
        outcome
        for outcome in outcomes
        if isinstance(outcome.error, prerequisites.RoleError)
        and prerequisites.is_tolerated(outcome.error, targets, waves, running.options.max_failures)
    ]
    prerequisites.refuse_missing(outcome for outcome in outcomes if outcome not in tolerated)
    for outcome in tolerated:
        warn(f"{outcome.error} The targets of these accounts will fail.")
    if running.options.runs_terraform:
        _say_provider(running, console)


def _of_machine(running: Running) -> list[prerequisites.Prerequisite]:
    return prerequisites.of_machine(os.environ, running.runs, runs_terraform=running.options.runs_terraform)


def _say_provider(running: Running, console: Console) -> None:
    """Say in one line which provider is used, if it had to be searched for."""
    source = provider_source(os.environ)
    for note in source.notes:
        warn(note)
    if source.is_search_result:
        say(console, f"Provider hashicorp/aws: {escape(source.description)}", running)


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
    terminal.print_change_sets(console, summary, hints.on_run(operation.run.path))
    terminal.print_notes(console, summary)


def ask_and_apply(operation: Operation, planned: Sequence[TargetResult], running: Running, console: Console) -> int:
    """Apply planned changes after confirmation, finish the run, and return the exit code."""
    results, pending = list(planned), with_changes(planned)
    if pending and not operation.stop.is_set():
        if running.yes or _confirmed(operation, pending, console):
            results = apply_planned(operation, results, running, console)
        else:
            console.print("Nothing was applied.")
    return finish(operation, results, console, quiet=running.quiet)


def _confirmed(operation: Operation, pending: Sequence[TargetResult], console: Console) -> bool:
    """Ask for confirmation; a destruction requires to type the number of targets or the organization's id."""
    terminal.print_recap(console, operation.run.summarize(operation.run.read(), pending))
    count = len(pending)
    targets = counted(count, "target")
    if not operation.destroys:
        return _ask(operation, lambda: typer.confirm(f"Apply to {targets}?"))
    organization = operation.inventory.settings.organization.id
    question = f"Destroy {targets} of {organization}? Type their number or the organization's id to confirm"
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
    """End the run, show its results and what comes next, and return the exit code."""
    code, summary = end(operation, results, console, quiet=quiet)
    if not quiet or code != ExitCode.DONE:
        print_next(console, operation.run, summary)
    return code


def end(
    operation: Operation, results: Sequence[TargetResult], console: Console, *, quiet: bool = False
) -> tuple[int, Summary]:
    """End the run, show its results, and return the exit code and the summary."""
    code, summary = operation.finish(results)
    if not quiet:
        console.print()
    terminal.print_results(console, summary, quiet=quiet)
    path = os.path.relpath(operation.run.path / SUMMARY)
    console.print(f"Run {operation.run.run_id}: {escape(path)}")
    notify(operation.inventory, summary)
    return code, summary


def print_next(console: Console, run: RunFolder, summary: Summary) -> None:
    """Print the command that continues a run, or that checks or shows what it did."""
    hints.print_next(console, *_next(hints.on_run(run.path), summary))


def _next(commands: Commands, summary: Summary) -> tuple[str, str]:
    """Return what to do after a run, and the line to type for it."""
    totals = summary.totals
    open_targets = totals.failed + totals.not_started + totals.unfinished
    if summary.missing_shards:
        return "to see what is missing", commands.report
    if open_targets:
        return f"to {'plan the remaining targets again' if summary.command == 'plan' else 'complete this run'}", (
            commands.line("resume", RUN)
        )
    if totals.changes:
        return "to apply these plans", commands.line("apply", RUN)
    if summary.command == DESTROY:
        return "for a report of what was destroyed", commands.report
    accounts = [entry.account_id for entry in summary.targets]
    return "to check the live state", hints.command("verify", *hints.selection_of(accounts))


def finish_without_work(
    folder: RunFolder, beginning: Beginning, results: Sequence[TargetResult], console: Console, running: Running
) -> int:
    """End a run in which nothing was left to do, and return the exit code; a shard's run can still be merged."""
    code = exit_code(results, missing_shards=beginning.missing_shards)
    folder.begin(beginning)
    folder.end(code)
    summary = folder.write_summary()
    if not running.quiet or code != ExitCode.DONE:
        print_next(console, folder, summary)
    return code


def say(console: Console, text: str, running: Running) -> None:
    """Print a text, unless --quiet is given."""
    if not running.quiet:
        console.print(text)


def targets_of(results: Sequence[TargetResult]) -> list[Target]:
    """Return the targets of results."""
    return [result.target for result in results]
