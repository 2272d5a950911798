"""Plan and apply targets as the command line does, for measurements."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from session_manager_fleet.reports.terminal import TerminalProgress
from session_manager_fleet.run import beginnings
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.operation import Operation
from session_manager_fleet.run.options import RunOptions
from session_manager_fleet.run.results import Status, TargetResult
from session_manager_fleet.run.run_lock import RunLock
from session_manager_fleet.targets import model
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import TargetList


@contextmanager
def prepared(
    inventory: Inventory, chosen: TargetList, runs: Path, console: Console, workers: int | None = None
) -> Iterator[Operation]:
    """Yield an operation with a run folder of its own.

    Args:
        inventory: The organization and its settings.
        chosen: The targets.
        runs: Folder of the run folders.
        console: Where progress is shown.
        workers: Targets at a time, or None for as many as the machine can.
    """
    run = RunFolder.create(runs)
    beginning = beginnings.begin_run(inventory, "plan", chosen, model.EVERYTHING)
    with RunLock.take(run.path.parent, run.run_id) as claim:
        options = RunOptions(workers=workers)
        yield Operation.prepare(inventory, run, claim, beginning, chosen.targets, TerminalProgress(console), options)


def unchanged(results: list[TargetResult]) -> None:
    """Make sure that the plans measured are those of unchanged targets."""
    if any(result.status is not Status.NO_CHANGES for result in results):
        sys.exit("The targets did not stay unchanged; the figures would mean nothing.")
