"""Commands that run terraform: plan and apply."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from fleet import operations
from fleet.context import Context
from fleet.errors import ExitCode, InputError
from fleet.journal import RunFolder, Status, TargetResult
from fleet.operations import Operation
from fleet.options import RUNS, RunsOption, WorkersOption, YesOption, load, parse_workers, selecting
from fleet.plans import group_equal
from fleet.reports import terminal
from fleet.targets import Selection, TargetList


@selecting
def plan(
    context: typer.Context,
    selection: Selection,
    workers: WorkersOption = "auto",
    runs: RunsOption = RUNS,
) -> int:
    """Plan every target and show equal change sets once; nothing is changed."""
    console = terminal.make_console()
    loaded, selected = load(context.obj, selection, console)
    operations.refuse_expired_exceptions(loaded)
    operation = prepare(loaded, selected, runs, workers, console)
    results = plan_and_show(operation, selected, console)
    return finish(operation, "plan", results, selected, console)


@selecting
def apply(
    context: typer.Context,
    selection: Selection,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Apply the plans of this run; without it, plan first and ask."),
    ] = None,
    workers: WorkersOption = "auto",
    runs: RunsOption = RUNS,
    yes: YesOption = False,
) -> int:
    """Apply saved plans: those of a run, or of a plan that is made and shown first."""
    console = terminal.make_console()
    if run is not None:
        if selection.given or selection.exclude or selection.shard:
            raise InputError("The targets are those of the run; leave the selection away.", "RUN")
        return _apply_run(context.obj, run, runs, workers, console)
    loaded, selected = load(context.obj, selection, console)
    operations.refuse_expired_exceptions(loaded)
    if not yes and not sys.stdin.isatty():
        raise InputError("Nobody is there to be asked: use --yes, or plan first and apply that run.", "--yes")
    operation = prepare(loaded, selected, runs, workers, console)
    planned = plan_and_show(operation, selected, console)
    pending = operations.with_changes(planned)
    if pending and not operation.stop.is_set() and (yes or typer.confirm(f"Apply to {len(pending)} targets?")):
        planned = apply_planned(operation, planned, console)
    return finish(operation, "apply", planned, selected, console)


def _apply_run(config: Path, run: str, runs: Path, workers: str, console: Console) -> int:
    folder = Path(run) if Path(run).is_dir() else runs / run
    saved = RunFolder(folder).saved_targets()
    pending = [entry for entry in saved if entry.status is Status.CHANGES]
    if not pending:
        console.print("This run holds nothing to apply.")
        return ExitCode.DONE
    loaded = Context.load(config)
    operations.refuse_expired_exceptions(loaded)
    regions = [entry.target.region for entry in pending]
    observer = terminal.TerminalProgress(console)
    operation = Operation.prepare(loaded, RunFolder(folder.resolve()), regions, observer, parse_workers(workers))
    with operation.interruptible(console.print):
        results = operation.apply(saved)
    code = operations.exit_code(results, interrupted=operation.stop.is_set())
    summary = operation.run.amend_summary(command="apply", exit_code=code, results=results)
    return _show_results(operation, results, code, summary, console)


def prepare(context: Context, selected: TargetList, runs: Path, workers: str, console: Console) -> Operation:
    """Make the folder of a run and get terraform ready for its targets."""
    run = RunFolder.create(runs.resolve())
    regions = [target.region for target in selected.targets]
    return Operation.prepare(context, run, regions, terminal.TerminalProgress(console), parse_workers(workers))


def plan_and_show(operation: Operation, selected: TargetList, console: Console) -> list[TargetResult]:
    """Plan the targets, and show equal change sets once."""
    with operation.interruptible(console.print):
        results = operation.plan(selected)
    groups = group_equal((result.target, result.change_set) for result in results if result.change_set)
    terminal.print_change_groups(console, groups)
    return results


def apply_planned(operation: Operation, planned: list[TargetResult], console: Console) -> list[TargetResult]:
    """Apply what was planned, and return one result for each target."""
    with operation.interruptible(console.print):
        applied = operation.apply(planned)
    return operations.merge_results(planned, applied)


def finish(
    operation: Operation, command: str, results: list[TargetResult], selected: TargetList, console: Console
) -> int:
    """Write the summary of the run, show it, and return the exit code."""
    code = operations.exit_code(results, interrupted=operation.stop.is_set())
    summary = operation.run.write_summary(command=command, exit_code=code, results=results, skipped=selected.skipped)
    return _show_results(operation, results, code, summary, console)


def _show_results(
    operation: Operation, results: list[TargetResult], code: ExitCode, summary: Path, console: Console
) -> int:
    console.print()
    terminal.print_results(console, results)
    console.print(f"Run {operation.run.run_id}: {escape(os.path.relpath(summary))}")
    return code
