"""Consoles, which go on when their reader has closed the pipe."""

import os
import sys
from contextlib import suppress
from typing import IO, Any, cast

from rich.console import Console

from session_manager_fleet.reports.safe_text import log_text, writes_log

_NARROW = 80
# Width of tables without a terminal.
WIDE = 150


class _Console(Console):
    """A console that stays silent after its reader has closed the pipe, so that the run goes on."""

    def on_broken_pipe(self) -> None:
        """Write nothing more; rich would end the process in the middle of a run."""
        self.quiet = True
        discard_output(self.file)


class _Log:
    """A stream whose text becomes part of a CI system's log."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text in which no name is a command for the CI system."""
        return self._stream.write(log_text(text))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a stream
        return getattr(self._stream, name)


def discard_output(file: IO[str]) -> None:
    """Redirect a closed pipe to the null device; otherwise Python would fail to flush it at exit."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, file.fileno())
        os.close(null)


def make_console(*, stderr: bool = False) -> Console:
    """Return a console; a pipe or file gets wide lines, because it has no width of its own."""
    log = cast("IO[str]", _Log(sys.stderr if stderr else sys.stdout)) if writes_log(os.environ) else None
    console = _Console(file=log, stderr=stderr, highlight=False, emoji=False)
    if not console.is_terminal and console.width <= _NARROW:
        console.width = WIDE
    return console
