"""The interface of executors."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass

from session_manager_fleet.run.job_description import Job, Performed


@dataclass(frozen=True)
class Workers:
    """An open executor of jobs.

    Attributes:
        submit: Submits a job.
        interrupt: Interrupts the terraform commands of all running jobs; they save their states.
        lost: Exceptions of the future of a job whose worker was lost.
        count: Number of concurrent jobs.
    """

    submit: Callable[[Job], Future[Performed]]
    interrupt: Callable[[], None]
    lost: tuple[type[BaseException], ...] = ()
    count: int = 1


Opener = Callable[[], AbstractContextManager[Workers]]


@dataclass(frozen=True)
class Site:
    """Settings of a run for worker processes; they hold no credentials.

    Attributes:
        root_sha256: Digest of the root module, see `RootModule.digest`.
        backends: Backend configuration of each region.
        timeout_seconds: Time limit of one terraform command.
        secrets: Texts that logs and errors must not show.
    """

    root_sha256: str
    backends: Mapping[str, Mapping[str, str]]
    timeout_seconds: float
    secrets: tuple[str, ...] = ()
