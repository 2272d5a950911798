"""The only place that runs terraform: an adapter over python-terraform.

python-terraform builds the argument lists; everything else of it is replaced. It runs children with the environment of
this process, which cannot differ between threads, keeps their whole output in memory, knows neither time limits nor
signals, and turns every misspelled attribute into a terraform command.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import python_terraform

from session_manager_fleet.changes import PlanOutcome
from session_manager_fleet.errors import InputError, TerraformError
from session_manager_fleet.files import write_private
from session_manager_fleet.hcl import quote
from session_manager_fleet.terraform import processes
from session_manager_fleet.terraform.output import Messages, StoppedError, failure, hiding, plain_errors, secrets_of
from session_manager_fleet.terraform.root_module import RootModule

MINIMUM_VERSION = (1, 11)
PROVIDER_SOURCE = "registry.terraform.io/hashicorp/aws"
MIRROR_VARIABLE = "TF_PLUGIN_MIRROR"
# How terraform calls what it has of a state that it cannot save; it writes that into its working folder.
UNSAVED_STATE = "errored.tfstate"

_NO_CHANGES, _CHANGES = 0, 2

# What terraform, its S3 backend and the AWS provider read; everything else of the caller's environment stays outside.
_PASSED_ON = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|LANG|LC_[A-Z]+|TZ|AWS_[A-Z0-9_]+|SSL_CERT_(FILE|DIR)"
    r"|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy"
)

# The provider writes all its traces as JSON and terraform parses them, only to drop them: a twentieth of a plan's
# processor time. Each of its libraries has a level of its own (terraform-plugin-log, "Managing log output").
_UNLOGGED = dict.fromkeys(
    (
        "TF_LOG_PROVIDER_AWS",
        "TF_LOG_SDK",
        "TF_LOG_SDK_FRAMEWORK",
        "TF_LOG_SDK_HELPER_SCHEMA",
        "TF_LOG_SDK_MUX",
        "TF_LOG_SDK_PROTO",
    ),
    "OFF",
)

_DEFAULT_TIMEOUT_SECONDS = 1800.0
_DEFAULT_LOCK_TIMEOUT_SECONDS = 300
_GRACE_SECONDS = 120.0
_WORKING_PREFIX = "apply-"


def find_terraform() -> str:
    """Return the path of a terraform executable that is new enough.

    Raises:
        InputError: There is none, or it is too old.
    """
    wanted = ".".join(str(part) for part in MINIMUM_VERSION)
    binary = shutil.which("terraform")
    if binary is None:
        raise InputError(f"Terraform {wanted} or newer is needed, and no terraform is on the PATH: install it first.")
    version = terraform_version(binary)
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < MINIMUM_VERSION:
        raise InputError(f"Terraform {wanted} or newer is needed; {binary} is {version}.")
    return binary


def terraform_version(binary: str) -> str:
    """Return the version of a terraform executable, as `1.11.4`.

    Raises:
        InputError: It does not answer as terraform would.
    """
    try:
        output = subprocess.run(
            [binary, "version", "-json"],
            env=_base_environment(os.environ),
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        return str(json.loads(output)["terraform_version"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{binary} does not answer as terraform would: {error}") from error


def _base_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every child, from a list of what is passed on."""
    passed_on = {name: value for name, value in environment.items() if _PASSED_ON.fullmatch(name)}
    return {**passed_on, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}


def child_environment(
    environment: Mapping[str, str], folder: Path, go_runtime: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment for terraform in a run.

    Args:
        environment: The caller's environment.
        folder: Private folder for a command line configuration of our own.
        go_runtime: What to tell Go's runtime, see `run.executors.capacity`; None for its defaults.

    Raises:
        InputError: TF_PLUGIN_MIRROR names a directory that does not hold the provider.
    """
    child = {**_base_environment(environment), **_UNLOGGED, **(go_runtime or {})}
    mirror = environment.get(MIRROR_VARIABLE)
    own_configuration = environment.get("TF_CLI_CONFIG_FILE")
    if mirror:
        if not (Path(mirror) / PROVIDER_SOURCE).is_dir():
            message = f"The directory {mirror} does not hold {PROVIDER_SOURCE}; it must have the registry's layout."
            raise InputError(message, MIRROR_VARIABLE)
        path = folder / "terraform.tfrc"
        mirror_path = quote(str(Path(mirror).resolve()))
        write_private(path, f"provider_installation {{\n  filesystem_mirror {{\n    path = {mirror_path}\n  }}\n}}\n")
        child["TF_CLI_CONFIG_FILE"] = str(path)
    elif own_configuration and Path(own_configuration).is_file():
        child["TF_CLI_CONFIG_FILE"] = own_configuration
    return child


def unsaved_state(folder: Path) -> Path | None:
    """Return what an apply could not save of a target's state, if there is such a thing in the target's folder.

    An apply that went on after its rollout was killed has left it in its working folder.
    """
    kept = folder / UNSAVED_STATE
    for left in folder.glob(f"{_WORKING_PREFIX}*/{UNSAVED_STATE}"):
        if not kept.exists():
            left.chmod(0o600)
            left.replace(kept)
    return kept if kept.exists() else None


class _CommandLine(python_terraform.Terraform):  # type: ignore[misc]
    """python-terraform's argument builder, with nothing of the rest within reach."""

    def __init__(self, binary: str) -> None:
        # The constructor of the base class looks for a state file, which is none of its business here.
        self.terraform_bin_path = binary
        self.temp_var_files = None

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(name)

    def cmd(self, *_: object, **__: object) -> NoReturn:
        raise NotImplementedError("commands are run by session_manager_fleet.terraform.command.Terraform")

    def arguments(self, command: str, *positional: str, **options: object) -> list[str]:
        """Return program, command, options and positional arguments."""
        return list(self.generate_cmd_string(command, *positional, **options))


_FLAG = python_terraform.IsFlagged


class Terraform:
    """Terraform in one root folder, with one initialized data folder that all workspaces share.

    Args:
        binary: Path of the executable.
        root: The root module, or another folder with a configuration.
        data_folder: Terraform's data folder; one for each backend configuration.
        environment: The whole environment of the children, see `child_environment`.
        timeout_seconds: How long one command may take before it is interrupted.
        lock_timeout_seconds: How long to wait for a state that somebody else has locked.
        secrets: What logs and errors must not show, beside the credentials in the environment.

    Attributes:
        root: The root module.
        backend: Backend configuration that it is initialized for; empty before.
    """

    def __init__(
        self,
        *,
        binary: str,
        root: RootModule,
        data_folder: Path,
        environment: Mapping[str, str],
        timeout_seconds: float = _DEFAULT_TIMEOUT_SECONDS,
        lock_timeout_seconds: int = _DEFAULT_LOCK_TIMEOUT_SECONDS,
        secrets: Collection[str] = (),
    ) -> None:
        self.root = root
        self._command_line = _CommandLine(binary)
        self._environment = {**environment, "TF_DATA_DIR": str(data_folder)}
        self._timeout_seconds = timeout_seconds
        self._lock_timeout = f"{lock_timeout_seconds}s"
        self._hide = hiding([*secrets, *secrets_of(environment)])
        self.backend: Mapping[str, str] = {}
        self._running: set[_Running] = set()
        self._lock = threading.Lock()

    def interrupt(self) -> None:
        """Ask every running command to stop, as Ctrl-C would: terraform saves its state first.

        Asking again changes nothing: terraform takes a second interrupt as the order to drop everything.
        """
        with self._lock:
            for command in self._running:
                command.wake.set()

    def init(self, backend: Mapping[str, str], log: Path) -> None:
        """Initialize the data folder for a backend; no workspace is selected, so any may be used afterwards.

        Raises:
            TerraformError: The backend or the provider cannot be had.
        """
        arguments = self._command_line.arguments(
            "init", backend_config=dict(backend), input=False, no_color=_FLAG, lockfile="readonly"
        )
        self._init(arguments, log)
        self.backend = dict(backend)

    def _init(self, arguments: list[str], log: Path) -> None:
        lines: list[str] = []
        code = self._run(arguments, {}, log, self._collect(lines))
        if code != 0:
            text = "\n".join(lines)
            if "provider packages" in text or "registry.terraform.io" in text:
                raise TerraformError(
                    "Terraform cannot get the provider hashicorp/aws: give it access to registry.terraform.io, or set "
                    f"{MIRROR_VARIABLE} to a plugin directory in the registry's layout that holds it. Log: {log}."
                )
            raise TerraformError(f"terraform init failed. Log: {log}.", plain_errors(lines))

    def validate(self, log: Path) -> None:
        """Check the configuration itself; neither a backend nor credentials are used.

        Raises:
            TerraformError: The provider cannot be had, or the configuration is invalid.
        """
        # The lock file of the root module is the only one; modules and examples make theirs in passing.
        with _without_new_lock_file(self.root.lock_file) as locked:
            lockfile = "readonly" if locked else None
            self._init(
                self._command_line.arguments("init", backend=False, input=False, no_color=_FLAG, lockfile=lockfile), log
            )
            arguments = self._command_line.arguments("validate", no_color=_FLAG)
            lines: list[str] = []
            code = self._run(arguments, {}, log, self._collect(lines))
        if code != 0:
            raise failure("validate", code, plain_errors(lines), log)

    def plan(self, workspace: str, variables: Path, plan: Path, log: Path, *, destroy: bool = False) -> PlanOutcome:
        """Plan a workspace, which need not exist yet, and save the plan.

        Args:
            workspace: Terraform workspace.
            variables: Rendered tfvars.
            plan: Where to save the plan.
            log: Where terraform's output goes.
            destroy: Plan to destroy everything.

        Raises:
            StateLockedError: Somebody else holds the lock of the state.
            TerraformError: With terraform's own errors.
        """
        arguments = self._command_line.arguments(
            "plan",
            json=_FLAG,
            detailed_exitcode=_FLAG,
            destroy=_FLAG if destroy else None,
            input=False,
            lock_timeout=self._lock_timeout,
            var_file=str(variables),
            out=str(plan),
        )
        messages = Messages(self._hide)
        with _private_file(plan):
            code = self._run(arguments, {"TF_WORKSPACE": workspace}, log, messages.take)
        if code not in {_NO_CHANGES, _CHANGES}:
            raise failure("plan", code, messages.errors, log)
        counts = messages.counts
        return PlanOutcome(
            changed=code == _CHANGES,
            add=counts.get("add", 0),
            change=counts.get("change", 0),
            destroy=counts.get("remove", 0),
        )

    def show(self, plan: Path, log: Path) -> dict[str, Any]:
        """Return a saved plan in terraform's JSON format.

        Raises:
            TerraformError: The plan cannot be read.
        """
        arguments = self._command_line.arguments("show", str(plan), json=_FLAG)
        lines: list[str] = []
        code = self._run(arguments, {}, None, lines.append)
        try:
            # Warnings of the command line configuration may stand before the one line of JSON.
            shown = json.loads(next(line for line in lines if line.startswith("{")))
        except (ValueError, StopIteration):
            shown = None
        if code != 0 or not isinstance(shown, dict):
            raise failure("show", code, [self._hide(error) for error in plain_errors(lines)], log)
        return shown

    def apply(self, workspace: str, plan: Path, log: Path) -> dict[str, Any]:
        """Apply exactly a saved plan, and return the values of the root's outputs but for sensitive ones.

        A state that cannot be saved is kept in the folder of the plan, see `unsaved_state`.

        Raises:
            StateLockedError: Somebody else holds the lock of the state.
            StalePlanError: The state has changed since the plan was made.
            TerraformError: With terraform's own errors.
        """
        arguments = self._command_line.arguments(
            "apply", str(plan), json=_FLAG, input=False, lock_timeout=self._lock_timeout
        )
        messages = Messages(self._hide)
        with _working_folder(self.root, plan.parent) as folder:
            code = self._run(arguments, {"TF_WORKSPACE": workspace}, log, messages.take, folder)
        if code != 0:
            raise failure("apply", code, messages.errors, log)
        return messages.outputs

    def _collect(self, lines: list[str]) -> Callable[[str], str]:
        def take(line: str) -> str:
            hidden = self._hide(line)
            lines.append(hidden)
            return hidden

        return take

    def _run(
        self,
        arguments: list[str],
        extra: Mapping[str, str],
        log: Path | None,
        take: Callable[[str], str | None],
        folder: Path | None = None,
    ) -> int:
        """Run a command to its end; every line of output goes through `take` and, as it returns it, into the log.

        The working folder is that of the root module, unless another is given.

        Raises:
            StoppedError: The command took too long and did not succeed.
        """
        with _log_writer(log) as write:
            process = processes.start(
                arguments,
                folder=folder or self.root.path,
                environment={**self._environment, **extra},
            )
            command = _Running(process)
            with self._lock:
                self._running.add(command)
            threading.Thread(target=command.stop_in_time, args=(self._timeout_seconds,), daemon=True).start()
            try:
                assert process.stdout is not None  # noqa: S101 - a pipe was asked for
                for raw in process.stdout:
                    line = raw.decode("utf-8", "replace").rstrip("\n")
                    write(take(line) or line)
                code = process.wait()
            except BaseException:
                # Terraform is not left alone in the middle of an apply, whatever happens here.
                command.wake.set()
                process.communicate()
                raise
            finally:
                command.finished.set()
                command.wake.set()
                with self._lock:
                    self._running.discard(command)
        if command.late and code not in {_NO_CHANGES, _CHANGES}:
            message = f"terraform {arguments[1]} took longer than {self._timeout_seconds:g} seconds and was stopped."
            raise StoppedError(f"{message} Log: {log}." if log else message)
        return code


@dataclass(eq=False)
class _Running:
    """A command that runs, and how it is made to stop.

    Attributes:
        process: The command.
        wake: Set when it is to stop, or has ended.
        finished: Set when it has ended.
        late: Whether it took too long.
    """

    process: subprocess.Popen[bytes]
    wake: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    late: bool = False

    def stop_in_time(self, seconds: float) -> None:
        """Wait until the command has to stop, then stop it: as Ctrl-C would, and firmly after long grace periods only.

        A terraform that is killed while it applies forgets what it just created, and leaves its lock behind.
        """
        self.late = not self.wake.wait(min(threading.TIMEOUT_MAX, seconds))
        for step in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.finished.is_set():
                return
            _signal_group(self.process, step)
            self.finished.wait(_GRACE_SECONDS)


def _signal_group(process: subprocess.Popen[bytes], step: signal.Signals) -> None:
    try:
        os.killpg(process.pid, step)
    except ProcessLookupError:
        return


@contextmanager
def _working_folder(root: RootModule, place: Path) -> Iterator[Path]:
    """Make a working folder for one apply, with links to all that terraform reads of the root module.

    A state that terraform cannot save is written there, always under the same name: applies that run at the same time
    must not share it. It is taken out before the folder goes.
    """
    folder = Path(tempfile.mkdtemp(dir=place, prefix=_WORKING_PREFIX))
    try:
        for source in (*root.files, root.modules):
            (folder / source.name).symlink_to(source.resolve())
        yield folder
    finally:
        unsaved_state(place)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _log_writer(log: Path | None) -> Iterator[Callable[[str], None]]:
    """Append lines to a private log file as they come; without a file they go nowhere.

    A log that cannot be written any more, because the disk is full, does not stop terraform.
    """
    if log is None:
        yield lambda _: None
        return
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:

        def write(line: str) -> None:
            with suppress(OSError):
                os.write(handle, f"{line}\n".encode("utf-8", "replace"))

        yield write
    finally:
        os.close(handle)


@contextmanager
def _without_new_lock_file(lock_file: Path) -> Iterator[bool]:
    """Remove the lock file that `terraform init` writes where there was none; yields whether there was one."""
    existed = lock_file.exists()
    yield existed
    if not existed:
        lock_file.unlink(missing_ok=True)


@contextmanager
def _private_file(path: Path) -> Iterator[None]:
    """Make sure that a file that a child writes is readable by its owner only, from its first byte."""
    path.touch(mode=0o600)
    yield
    if path.exists():
        path.chmod(0o600)
