"""Run jobs in a process that shares no disk with the run: it receives the root module and returns files as bytes.

The root module is unpacked and `terraform init` runs for each region once in each process.
"""

import atexit
import io
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from session_manager_fleet.aws import as_caller
from session_manager_fleet.errors import FleetError, InputError
from session_manager_fleet.files import open_private
from session_manager_fleet.run.executors.base import Site
from session_manager_fleet.run.executors.capacity import measure_capacity
from session_manager_fleet.run.failures import failed
from session_manager_fleet.run.job import perform
from session_manager_fleet.run.job_description import Job, Performed
from session_manager_fleet.terraform import RootModule, Terraform, child_environment, find_terraform

_JOB_PREFIX = "job-"


@dataclass
class _Place:
    """Data that this process keeps between jobs."""

    folder: Path | None = None
    terraform: dict[tuple[object, ...], Terraform] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def base(self) -> Path:
        """Return the private folder of this process, which is removed at its end."""
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="session-manager-fleet-"))
            atexit.register(_remove, self.folder)
        return self.folder


def _remove(folder: Path) -> None:
    """Remove the folder of this process, unless a job still runs there: its terraform outlives this process."""
    if not any(folder.glob(f"{_JOB_PREFIX}*")):
        shutil.rmtree(folder, ignore_errors=True)


_place = _Place()


def unpack_root(archive: bytes, root_sha256: str) -> None:
    """Unpack a root module for later jobs, once.

    Raises:
        InputError: It differs from its digest.
    """
    with _place.lock:
        root = _place.base() / root_sha256
        if root.exists():
            return
        unpacked = Path(tempfile.mkdtemp(dir=_place.base()))
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as content:
            content.extractall(unpacked, filter="data")
        if RootModule(unpacked).digest() != root_sha256:
            raise InputError("The root module was changed on its way to the worker.")
        unpacked.rename(root)


def perform_remotely(site: Site, job: Job, inputs: Mapping[str, bytes], home: Path) -> Performed:
    """Run a job in a temporary folder, and return the files that it made.

    Args:
        site: Settings for the worker processes.
        job: The job.
        inputs: Files of the target that the job needs, by name.
        home: Folder of the target in the run; messages name the files there.
    """
    folder = None
    try:
        terraform = _terraform(site, job.target.region)
        folder = Path(tempfile.mkdtemp(dir=_place.base(), prefix=_JOB_PREFIX))
        for name, content in inputs.items():
            with os.fdopen(open_private(folder / name, os.O_WRONLY), "wb") as file:
                file.write(content)
        result = perform(job, folder, terraform)
        artifacts = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    except (FleetError, OSError) as error:
        result, artifacts = failed(job.target, job.step, error, folder or Path(tempfile.gettempdir())), {}
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    if result.failure is not None:
        message, *diagnostics = (
            text.replace(f"{folder}/", f"{home}/") for text in (result.failure.message, *result.failure.diagnostics)
        )
        result = replace(result, failure=replace(result.failure, message=message, diagnostics=tuple(diagnostics)))
    made = {name: content for name, content in artifacts.items() if inputs.get(name) != content}
    return Performed(result, made)


def _terraform(site: Site, region: str) -> Terraform:
    """Return terraform for the states of a region; initialize it at the first call."""
    with _place.lock:
        key = (site.root_sha256, site.timeout_seconds, site.secrets, *sorted(site.backends[region].items()))
        known = _place.terraform.get(key)
        if known is not None:
            return known
        folder = Path(tempfile.mkdtemp(dir=_place.base()))
        terraform = Terraform(
            binary=find_terraform(),
            root=RootModule(_place.base() / site.root_sha256),
            data_folder=folder / ".terraform",
            environment=child_environment(
                os.environ, folder, measure_capacity().go_runtime, _place.base() / "packages"
            ),
            timeout_seconds=site.timeout_seconds,
            secrets=site.secrets,
            as_caller=as_caller,
        )
        terraform.init(site.backends[region], folder / "init.log")
        _place.terraform[key] = terraform
        return terraform


def interrupt() -> None:
    """Interrupt all terraform commands of this process; they save their states."""
    for terraform in list(_place.terraform.values()):
        terraform.interrupt()
