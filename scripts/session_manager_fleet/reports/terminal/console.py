"""Consoles, which go on when their reader has closed the pipe."""

import os
from contextlib import suppress
from typing import IO

from rich.console import Console

_NARROW = 80
# Width of tables without a terminal.
WIDE = 150


class _Console(Console):
    """A console that stays silent after its reader has closed the pipe, so that the run goes on."""

    def on_broken_pipe(self) -> None:
        """Write nothing more; rich would end the process in the middle of a run."""
        self.quiet = True
        discard_output(self.file)


def discard_output(file: IO[str]) -> None:
    """Redirect a closed pipe to the null device; otherwise Python would fail to flush it at exit."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, file.fileno())
        os.close(null)


def make_console(*, stderr: bool = False) -> Console:
    """Return a console; a pipe or file gets wide lines, because it has no width of its own."""
    console = _Console(stderr=stderr, highlight=False, emoji=False)
    if not console.is_terminal and console.width <= _NARROW:
        console.width = WIDE
    return console
