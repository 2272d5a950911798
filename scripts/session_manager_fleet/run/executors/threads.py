"""Run jobs in threads of this process, or one after another."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from session_manager_fleet.run.executors.base import Workers
from session_manager_fleet.run.failures import failed
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.job import perform
from session_manager_fleet.run.job_description import Job, Performed
from session_manager_fleet.terraform import Terraform

P = ParamSpec("P")
R = TypeVar("R")


class SerialExecutor(Executor):
    """Runs every job immediately in the thread of the caller, for debugging."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run a job and return its finished future; exceptions are raised here, where a debugger sees them."""
        future: Future[R] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def local_workers(
    run: RunFolder, terraform: Mapping[str, Terraform], count: int, *, serial: bool = False
) -> Iterator[Workers]:
    """Run jobs in threads of this process, in the folder of the run.

    Args:
        run: Folder of the run.
        terraform: An initialized Terraform for each region.
        count: Number of concurrent jobs.
        serial: Run one after another, without threads.
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
