"""`merge`: combine the runs of shards."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import RUNS, RunsOption
from session_manager_fleet.cli.run_flow import print_next
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import terminal
from session_manager_fleet.run import Status, exit_code, merge as merging


def merge(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR…", help="Run folders of all shards.", show_default=False)
    ],
    within_tolerance: Annotated[
        bool,
        typer.Option("--within-tolerance", help="Fail only if more targets failed than max_failures of their wave."),
    ] = False,
    runs: RunsOption = RUNS,
) -> int:
    """Combine the runs of all shards into one run, and return its exit code; a missing shard is a failure."""
    console = terminal.make_console()
    parts = merging.read_parts(directories)
    run = merging.merge(parts, runs.resolve())
    state = run.read()
    exceeded = merging.exceeded_tolerances(state.results, state.first)
    judged = state.results
    if within_tolerance and not exceeded:
        judged = [result for result in judged if result.status is not Status.FAILED]
    code = exit_code(judged, missing_shards=state.first.missing_shards)
    if exceeded:
        code = ExitCode.TARGET_FAILED
    run.end(code)
    summary = run.write_summary()
    terminal.print_summary(console, summary, hints.on_run(run.path))
    for sentence in exceeded:
        console.print(f"[bold red]{escape(sentence)}.[/bold red]")
    path = os.path.relpath(run.path)
    console.print(f"Run {run.run_id}: {len(parts)} of {parts[0].shard.count} shards in {escape(path)}")
    print_next(console, run, summary)
    return code
