"""Commands that show runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fleet.errors import ExitCode, InputError
from fleet.files import write_private
from fleet.journal import JOURNAL, SUMMARY, RunFolder, find_run
from fleet.options import RUNS, RunsOption
from fleet.reports import terminal
from fleet.reports.formats import REPORTS
from fleet.summary import Summary

FORMATS = "|".join(REPORTS)


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or its folder; it may be unfinished.")],
    output_format: Annotated[str, typer.Option("--format", metavar=FORMATS, help="How to show it.")] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write to this file, for its owner only.")
    ] = None,
    runs: RunsOption = RUNS,
) -> int:
    """Show what a run did: for people, a pull request, a CI system or a program."""
    if output_format not in REPORTS:
        raise InputError(f'Unknown format "{output_format}"; use {", ".join(REPORTS)}.', "--format")
    summary = _summary(find_run(run, runs))
    if output is not None:
        write_private(output, REPORTS[output_format].render(summary))
    elif output_format == "table":
        terminal.print_summary(terminal.make_console(), summary)
    else:
        sys.stdout.write(REPORTS[output_format].render(summary))
    return ExitCode.DONE


def _summary(folder: RunFolder) -> Summary:
    """Tell from its journal what a run did; a summary that was kept without its journal will do."""
    if (folder.path / SUMMARY).exists() and not (folder.path / JOURNAL).exists():
        return Summary.read(folder.path / SUMMARY)
    return folder.read().summary(folder)
