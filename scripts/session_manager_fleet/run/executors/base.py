"""The interface of executors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass

from session_manager_fleet.run.job import Job, Performed


@dataclass(frozen=True)
class Workers:
    """An open executor of jobs.

    Attributes:
        submit: Hands a job to the executor.
        interrupt: Asks all running jobs to stop in an orderly way.
        lost: What the future of a job raises if nobody can know how the job ended.
        count: How many jobs it does at once.
    """

    submit: Callable[[Job], Future[Performed]]
    interrupt: Callable[[], None]
    lost: tuple[type[BaseException], ...] = ()
    count: int = 1


Opener = Callable[[], AbstractContextManager[Workers]]


@dataclass(frozen=True)
class Site:
    """What a process needs to know to do the jobs of a run; it holds no credentials.

    Attributes:
        root_sha256: Digest of the root module, see `RootModule.digest`.
        backends: Backend configuration of each region.
        timeout_seconds: How long one terraform command may take.
        secrets: What logs and errors must not show.
    """

    root_sha256: str
    backends: Mapping[str, Mapping[str, str]]
    timeout_seconds: float
    secrets: tuple[str, ...] = ()
