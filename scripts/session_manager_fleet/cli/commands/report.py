"""`report`: show a run."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import RUNS, RunsOption
from session_manager_fleet.cli.output import write_text
from session_manager_fleet.cli.run_flow import print_next, refuse_absent_run
from session_manager_fleet.errors import ExitCode, FleetError, InputError
from session_manager_fleet.files import write_private
from session_manager_fleet.reports import FILES, REPORTS, terminal
from session_manager_fleet.run import JOURNAL, SUMMARY, RunFolder, Summary, find_run

FORMATS = "|".join(REPORTS)


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or its folder; the run may be unfinished.")],
    output_format: Annotated[str, typer.Option("--format", metavar=FORMATS, help="Output format.")] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write to this file, readable by its owner only.")
    ] = None,
    runs: RunsOption = RUNS,
) -> int:
    """Show the results of a run: as a table, or for a pull request, a CI system or a program."""
    console = terminal.make_console()
    if output_format not in REPORTS:
        raise InputError(f'Unknown format "{output_format}"; use {", ".join(REPORTS)}.', "--format")
    folder = find_run(run, runs)
    summary, commands = _summary(folder), hints.on_run(folder.path)
    if output is not None:
        content = REPORTS[output_format](summary, commands)
        try:
            write_private(output, content)
        except OSError as error:
            raise FleetError(f"Cannot write {output}: {error.strerror or error}.") from error
        console.print(f"Report: {escape(str(output))}", soft_wrap=True)
        print_next(console, folder, summary)
    elif output_format == "table":
        terminal.print_summary(console, summary, commands)
        print_next(console, folder, summary)
    else:
        try:
            write_text(REPORTS[output_format](summary, commands))
            sys.stdout.flush()
        except BrokenPipeError:
            terminal.discard_output(sys.stdout)
    return ExitCode.DONE


def write_reports(folder: RunFolder) -> list[Path]:
    """Write the report files of a run beside its summary, readable by the owner only, and return their paths.

    Raises:
        JournalError: The folder of the run is not writable.
    """
    summary, commands = _summary(folder), hints.on_run(folder.path)
    paths = []
    for name, file in FILES.items():
        paths.append(folder.path / file)
        with folder.writing():
            write_private(paths[-1], REPORTS[name](summary, commands))
    return paths


def _summary(folder: RunFolder) -> Summary:
    """Return the summary of a run from its journal, or from summary.json if there is no journal."""
    if (folder.path / SUMMARY).exists() and not (folder.path / JOURNAL).exists():
        return Summary.read(folder.path / SUMMARY)
    refuse_absent_run(folder)
    return folder.summarize(folder.read())
