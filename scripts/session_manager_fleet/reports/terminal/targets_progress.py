"""Progress of commands that only read targets."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

# Without a terminal, a line at this interval shows progress.
_LINE_INTERVAL_SECONDS = 15


class TargetsProgress:
    """Shows the progress of work that only reads targets: a bar on a terminal, else a line from time to time.

    Args:
        console: The console to print to.
        targets: Number of targets.
        title: What is being done.
        done: What is said of the targets that are done.
    """

    def __init__(
        self, console: Console, targets: int, title: str = "Verifying", done: str = "targets verified"
    ) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=targets)
        self._done_words = done
        self._done, self._targets, self._printed_at = 0, targets, time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def finished(self, _: object) -> None:
        """Count one more target."""
        self._done += 1
        self._bar.advance(self._task)
        self._line(f"{self._done} of {self._targets} {self._done_words}")

    def arrived(self, arrived: int, watched: int, left: float) -> None:
        """Show how many targets have new logs, and how many seconds are left."""
        text = f"Waiting for logs, {left:.0f} s left"
        self._bar.update(self._task, description=text, total=watched, completed=arrived)
        self._line(f"{text}: {arrived} of {watched} targets have new logs")

    def _line(self, text: str) -> None:
        if not self._console.is_terminal and time.monotonic() - self._printed_at >= _LINE_INTERVAL_SECONDS:
            self._printed_at = time.monotonic()
            self._console.print(text)
