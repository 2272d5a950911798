"""Where jobs are done: in threads of this process, one after another, or on a Dask cluster."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from session_manager_fleet.errors import InputError
from session_manager_fleet.run.executors.remote import Site
from session_manager_fleet.run.job import Job, Performed, failed, perform
from session_manager_fleet.run.journal import RunFolder
from session_manager_fleet.terraform.command import Terraform

P = ParamSpec("P")
R = TypeVar("R")

THREADS = "threads"
# Addresses of Dask schedulers, and what Dask itself calls them.
_DASK = {"dask://": "tcp://", "dask+tls://": "tls://"}


class SerialExecutor(Executor):
    """Does every job at once, in the thread of the caller: for debugging."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Do a job and return its finished future; an exception is raised here, where a debugger sees it."""
        future: Future[R] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


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


@contextmanager
def local_workers(
    run: RunFolder, terraform: Mapping[str, Terraform], count: int, *, serial: bool = False
) -> Iterator[Workers]:
    """Do jobs in threads of this process, in the folder of the run.

    Args:
        run: Where everything is kept.
        terraform: An initialized Terraform for each region.
        count: How many jobs at once.
        serial: Do one after another without any thread.
    """

    def work(job: Job) -> Performed:
        try:
            folder = run.target_folder(job.target)
        except OSError as error:
            return Performed(failed(job.target, job.step, error, run.path))
        return Performed(perform(job, folder, terraform[job.target.region]))

    def interrupt() -> None:
        for each in terraform.values():
            each.interrupt()

    with SerialExecutor() if serial else ThreadPoolExecutor(count, thread_name_prefix="job") as executor:
        yield Workers(lambda job: executor.submit(work, job), interrupt, count=count)


def dask_address(executor: str) -> str | None:
    """Return the address of the Dask scheduler that an executor names, or None for threads.

    Raises:
        InputError: The text names no executor.
    """
    if executor == THREADS:
        return None
    match = re.fullmatch(r"(dask(?:\+tls)?://)((?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5})", executor)
    if match is not None:
        return _DASK[match[1]] + match[2]
    message = f'"{executor}" is no executor; use threads, dask://HOST:PORT or dask+tls://HOST:PORT.'
    raise InputError(message, "--executor")


def dask_opener(address: str, run: RunFolder, site: Site, archive: bytes, version: str) -> Opener:
    """Return how to use a Dask cluster, see `session_manager_fleet.run.executors.dask`.

    Raises:
        InputError: Dask is not installed.
    """
    try:
        from session_manager_fleet.run.executors.dask import dask_workers  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        message = "Dask is not installed here: install this project with its extra, session-manager-fleet[dask]."
        raise InputError(message, "--executor") from error
    return functools.partial(dask_workers, address, run, site, archive, version)
