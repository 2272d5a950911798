"""Progress of a run: a live display on a terminal, else a line for each finished target."""

import threading

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from session_manager_fleet.reports.safe_text import visible
from session_manager_fleet.reports.terminal.tables import status_text
from session_manager_fleet.reports.text import change_counts, counted
from session_manager_fleet.run import Status, Step, TargetResult
from session_manager_fleet.targets import Target

_STEP_NAMES = {Step.PLAN: "Planning", Step.DETACH: "Detaching", Step.APPLY: "Applying"}
_RUNNING = 16


class TerminalProgress:
    """Shows progress: a live display on a terminal, else a line for each finished target.

    Args:
        console: The console to print to.
        quiet: Show failures only.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._lock = threading.Lock()
        self._running: dict[str, str] = {}
        self._done = 0
        self._total = 0
        self._live: Live | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", total=None)

    def begin(self, step: Step, targets: int) -> None:
        """Start the display of a step."""
        self._done, self._total = 0, targets
        self._progress.reset(self._task, description=_STEP_NAMES[step], total=targets)
        if self._quiet:
            return
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._board, console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        else:
            self._console.print(f"{_STEP_NAMES[step]} {counted(targets, 'target')}")

    def started(self, target: Target, step: Step) -> None:  # noqa: ARG002 - part of the observer's interface
        """Show that a target is in progress."""
        with self._lock:
            self._running[target.key] = visible(f"{target.account.name} {target.region}")

    def finished(self, result: TargetResult) -> None:
        """Count a finished target; failures stay on the screen."""
        with self._lock:
            self._done += 1
            self._running.pop(result.key, None)
            self._progress.advance(self._task)
            if result.status is Status.FAILED or not (self._quiet or self._console.is_terminal):
                self._console.print(self._line(result), soft_wrap=True)

    def end(self) -> None:
        """Remove the live display."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self, entry: TargetResult) -> Text:
        return Text.assemble(
            visible(f"[{self._done:>{len(str(self._total))}}/{self._total}] {entry.account_id} {entry.region:<14} "),
            status_text(entry),
            f" {change_counts(entry)} {entry.seconds:.1f} s  {visible(entry.account_name)}",
        )

    def _board(self) -> Group:
        """Return the current display; called by rich's refresh thread."""
        with self._lock:
            names = list(self._running.values())
        rows = [f"  · {name}" for name in names[:_RUNNING]]
        if len(names) > _RUNNING:
            rows.append(f"  · and {len(names) - _RUNNING} more")
        return Group(self._progress, *(Text(row, style="dim") for row in rows))
