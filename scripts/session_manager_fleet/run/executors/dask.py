"""Do jobs on the workers of a Dask cluster, each at most once."""

from __future__ import annotations

import importlib.metadata
import threading
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from pathlib import Path

import distributed
from distributed.comm.core import CommClosedError

from session_manager_fleet.errors import FleetError, InputError
from session_manager_fleet.run.executors import remote
from session_manager_fleet.run.executors.base import Site, Workers
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.job import Job, Performed
from session_manager_fleet.run.results import Step
from session_manager_fleet.run.saved_plan import FILES, SEAL
from session_manager_fleet.terraform import find_terraform, terraform_version, unsaved_state

_CONNECT_SECONDS = 20


class BegunElsewhereError(Exception):
    """A job was handed out a second time; nobody knows how far it came the first time."""


LOST = (
    distributed.KilledWorker,
    distributed.client.ClosedClientError,
    CommClosedError,
    CancelledError,
    BegunElsewhereError,
)


@contextmanager
def dask_workers(address: str, run: RunFolder, site: Site, archive: bytes, version: str) -> Iterator[Workers]:
    """Use an existing cluster.

    Dask answers the death of a worker by running its tasks again elsewhere, which must never happen to an apply. So
    the scheduler must not do that, and every job leaves a mark at the scheduler before it begins.

    Args:
        address: Of the scheduler, as `tcp://host:8786` or `tls://host:8786`.
        run: Where everything is kept.
        site: What the run is about.
        archive: The root module, see `RootModule.pack`.
        version: Version of terraform that the plans are made with.

    Raises:
        InputError: There is no such cluster, or it cannot be used.
    """
    try:
        client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at {address}: {error}", "--executor") from error
    with client:
        _check_cluster(client, version)
        client.register_plugin(_RootModule(archive, site.root_sha256))
        executor = client.get_executor(pure=False, retries=0)

        def submit(job: Job) -> Future[Performed]:
            home = run.path / job.target.key
            arguments = (uuid.uuid4().hex, site, job, _inputs(job, home), home)
            future: Future[Performed] = executor.submit(_perform_once, *arguments)
            return future

        def interrupt() -> None:
            # Not in the signal handler that this is called from: all workers have to answer.
            threading.Thread(target=client.run, args=(remote.interrupt,), daemon=True).start()

        yield Workers(submit, interrupt, LOST, sum(client.nthreads().values()))


def _check_cluster(client: distributed.Client, version: str) -> None:
    failures = client.run_on_scheduler(_allowed_failures)
    if failures != 0:
        message = (
            f"The Dask scheduler runs the task of a worker that died again, {failures} times; an apply must not be. "
            "Start it with DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0."
        )
        raise InputError(message, "--executor")
    try:
        found = client.run(_versions)
    except (ImportError, AttributeError, FleetError) as error:
        message = f"The Dask workers cannot work: this project, or terraform, is not installed there ({error})."
        raise InputError(message, "--executor") from error
    if not found:
        raise InputError("The Dask cluster has no worker.", "--executor")
    wanted = (importlib.metadata.version("session-manager-fleet"), version)
    for worker, versions in found.items():
        if versions != wanted:
            message = (
                f"The Dask worker {worker} has version {versions[0]} of this project and terraform {versions[1]}; "
                f"here they are {wanted[0]} and {wanted[1]}."
            )
            raise InputError(message, "--executor")


def _allowed_failures(dask_scheduler: distributed.Scheduler) -> int:
    return int(dask_scheduler.allowed_failures)


def _versions() -> tuple[str, str]:
    return importlib.metadata.version("session-manager-fleet"), terraform_version(find_terraform())


class _RootModule(distributed.WorkerPlugin):
    """Brings the root module to every worker, also to those that join later."""

    def __init__(self, archive: bytes, root_sha256: str) -> None:
        self._archive = archive
        self._root_sha256 = root_sha256
        self.name = f"session-manager-root-{root_sha256}"

    def setup(self, worker: distributed.Worker) -> None:  # noqa: ARG002 - part of the plugin's interface
        """Unpack it on a worker."""
        remote.unpack_root(self._archive, self._root_sha256)


def _inputs(job: Job, folder: Path) -> Mapping[str, bytes]:
    """Return the files that a job needs: to apply a plan, its bundle; and a state that an apply could not save."""
    paths = [folder / name for name in (*FILES, SEAL)] if job.step is Step.APPLY else []
    if unsaved := unsaved_state(folder):
        paths.append(unsaved)
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def _perform_once(ticket: str, site: Site, job: Job, inputs: Mapping[str, bytes], home: Path) -> Performed:
    """Do a job on a worker, unless a worker has begun with it before."""
    begun = distributed.Event(f"session-manager-{ticket}")
    if begun.is_set():
        raise BegunElsewhereError
    begun.set()
    return remote.perform_remotely(site, job, inputs, home)
