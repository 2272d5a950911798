"""Output formats that several commands share."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from session_manager_fleet.errors import FleetError, InputError
from session_manager_fleet.files import write_private
from session_manager_fleet.reports import json_for_logs, log_text, terminal, visible_lines, writes_log

FormatOption = Annotated[str, typer.Option("--format", metavar="table|json", help="Output format.")]


def check_format(output: str, *formats: str) -> None:
    """Refuse a `--format` that is not one of the formats.

    Raises:
        InputError: The format is unknown.
    """
    if output not in formats:
        raise InputError(f'Unknown format "{output}"; use {", ".join(formats[:-1])} or {formats[-1]}.', "--format")


def write_json(value: object, *, indent: int | None = 2) -> None:
    """Write a value to standard output as JSON."""
    _write(json_for_logs(json.dumps(value, indent=indent)) + "\n")


def write_text(text: str) -> None:
    """Write a text to standard output; in the log of a CI system, no part of it is a command."""
    _write(log_text(text) if writes_log(os.environ) else text)


def warn(text: str) -> None:
    """Print a warning to standard error."""
    shown = escape("\n".join(visible_lines(text)))
    terminal.make_console(stderr=True).print(f"[yellow]Warning:[/yellow] {shown}", soft_wrap=True)


def write_file(path: Path, content: str) -> None:
    """Write a file that only its owner can read.

    Raises:
        FleetError: It cannot be written.
    """
    try:
        write_private(path, content)
    except OSError as error:
        raise FleetError(f"Cannot write {path}: {error.strerror or error}.") from error


def _write(text: str) -> None:
    """Write to standard output; a reader that has closed the pipe changes no exit code."""
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        terminal.discard_output(sys.stdout)
