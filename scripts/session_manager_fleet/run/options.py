"""Options of a run, from the command line to the jobs."""

import datetime
from dataclasses import dataclass

from session_manager_fleet.settings import Tolerance

THREADS = "threads"


@dataclass(frozen=True)
class RunOptions:
    """Options of a run.

    Attributes:
        workers: Concurrent targets; None for the capacity of this machine.
        executor: `threads`, or the address of a Dask scheduler, see `session_manager_fleet.run.executors.choose`.
        serial: Work on one target after another, without threads.
        timeout_seconds: Time limit of one terraform command.
        max_failures: Failed targets that are tolerated in all; None for any number.
        wave_pause_seconds: Pause between two waves.
        max_plan_age: Maximum age of a saved plan when it is applied.
        allow_destroy: Whether keys, log groups and buckets may be deleted or replaced, and policies detached from roles
            that Terraform does not manage.
    """

    workers: int | None = None
    executor: str = THREADS
    serial: bool = False
    timeout_seconds: float = 1800.0
    max_failures: Tolerance | None = None
    wave_pause_seconds: float = 0.0
    max_plan_age: datetime.timedelta = datetime.timedelta(hours=24)
    allow_destroy: bool = False

    @property
    def runs_terraform(self) -> bool:
        """Whether terraform runs on this machine, and not on a cluster."""
        return self.executor == THREADS
