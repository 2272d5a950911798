"""Run jobs on the workers of a Dask cluster, each at most once."""

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
from session_manager_fleet.run.job_description import Job, Performed
from session_manager_fleet.run.results import Step
from session_manager_fleet.run.saved_plan import FILES, MANIFEST
from session_manager_fleet.terraform import find_terraform, terraform_version, unsaved_state

_CONNECT_SECONDS = 20


class BegunElsewhereError(Exception):
    """A job was started a second time; the first attempt may be partial."""


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

    Dask retries the tasks of a lost worker on another one, which could apply twice. Therefore the scheduler has to be
    started without retries, and every job sets an event at the scheduler before it starts.

    Args:
        address: Of the scheduler, as `tcp://host:8786` or `tls://host:8786`.
        run: Folder of the run.
        site: Settings for the worker processes.
        archive: The root module, see `RootModule.pack`.
        version: Version of terraform on this machine.

    Raises:
        InputError: No scheduler answers, or the cluster cannot be used.
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
            # In a thread, as this is called from a signal handler and all workers have to answer.
            threading.Thread(target=client.run, args=(remote.interrupt,), daemon=True).start()

        yield Workers(submit, interrupt, LOST, sum(client.nthreads().values()))


def _check_cluster(client: distributed.Client, version: str) -> None:
    failures = client.run_on_scheduler(_allowed_failures)
    if failures != 0:
        message = (
            f"The Dask scheduler retries tasks of lost workers (allowed-failures={failures}), which could apply twice. "
            "Start it with DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0."
        )
        raise InputError(message, "--executor")
    try:
        found = client.run(_versions)
    except (ImportError, AttributeError, FleetError) as error:
        message = f"This project or terraform is not installed on the Dask workers ({error})."
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
    """Installs the root module on every worker, also on those that join later."""

    def __init__(self, archive: bytes, root_sha256: str) -> None:
        self._archive = archive
        self._root_sha256 = root_sha256
        self.name = f"session-manager-root-{root_sha256}"

    def setup(self, worker: distributed.Worker) -> None:  # noqa: ARG002 - part of the plugin's interface
        """Unpack the root module on a worker."""
        remote.unpack_root(self._archive, self._root_sha256)


def _inputs(job: Job, folder: Path) -> Mapping[str, bytes]:
    """Return the files that a job needs: its saved plan, and a state that an earlier apply could not save."""
    paths = [folder / name for name in (*FILES, MANIFEST)] if job.step is not Step.PLAN else []
    if unsaved := unsaved_state(folder):
        paths.append(unsaved)
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def _perform_once(ticket: str, site: Site, job: Job, inputs: Mapping[str, bytes], home: Path) -> Performed:
    """Run a job on a worker unless a worker has already started it."""
    begun = distributed.Event(f"session-manager-{ticket}")
    if begun.is_set():
        raise BegunElsewhereError
    begun.set()
    return remote.perform_remotely(site, job, inputs, home)
