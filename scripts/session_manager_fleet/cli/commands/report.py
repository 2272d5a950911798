"""`report`: show a run."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import RUNS, RunsOption
from session_manager_fleet.cli.output import write_file, write_text
from session_manager_fleet.cli.run_flow import print_next, refuse_absent_run
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.files import write_private
from session_manager_fleet.reports import (
    FILES,
    REPORTS,
    VERIFICATION_REPORTS,
    print_verification,
    terminal,
    verification_page,
)
from session_manager_fleet.run import JOURNAL, SUMMARY, RunFolder, Summary, beginnings, find_run
from session_manager_fleet.verify import Verification, read_verification

FORMATS = "|".join(VERIFICATION_REPORTS)


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or its folder; the run may be unfinished.")],
    output_format: Annotated[str, typer.Option("--format", metavar=FORMATS, help="Output format.")] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write to this file, readable by its owner only.")
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Show the change sets of this planned run beside the findings of a verify run."
        ),
    ] = None,
    runs: RunsOption = RUNS,
) -> int:
    """Show the results of a run: as a table, or for a pull request, a CI system or a program."""
    console = terminal.make_console()
    folder = find_run(run, runs)
    verification = read_verification(folder.path)
    formats = REPORTS if verification is None else VERIFICATION_REPORTS
    if output_format not in formats:
        raise InputError(f'Unknown format "{output_format}"; use {", ".join(formats)}.', "--format")
    if verification is not None:
        return _report_verification(verification, _planned(plan, runs), output_format, output)
    if plan is not None:
        raise InputError("Only the report of a run of verify shows a plan beside it.", "--plan")
    summary, commands = _summary(folder), hints.on_run(folder.path)
    if output is not None:
        write_file(output, REPORTS[output_format](summary, commands))
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


def _planned(run: str | None, runs: Path) -> Summary | None:
    return None if run is None else _summary(find_run(run, runs))


def _report_verification(
    verification: Verification, plan: Summary | None, output_format: str, output: Path | None
) -> int:
    """Show the result of a run of `verify`."""
    page = output_format == "html"
    content = verification_page(verification, plan) if page else VERIFICATION_REPORTS[output_format](verification)
    if output is not None:
        write_file(output, content)
        terminal.make_console().print(f"Report: {escape(str(output))}", soft_wrap=True)
    elif output_format == "table":
        console = terminal.make_console()
        print_verification(console, verification)
        hints.print_next(console, "to check again", hints.command("verify", *_options(verification)))
    else:
        write_text(content)
    return ExitCode.DONE


def _options(verification: Verification) -> list[str]:
    """Return the options that selected the targets of a verification."""
    return [word for option in verification.selection for word in option.split(" ", 1)] or ["--all"]


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
    state = folder.read()
    if state.first.command == beginnings.VERIFY:
        message = "This verification has no result: it was interrupted, or its result was not copied. Verify again."
        raise InputError(message, str(folder.path), next_command=("verify", "--all"))
    return folder.summarize(state)
