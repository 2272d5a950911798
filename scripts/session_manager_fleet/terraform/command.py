"""Run terraform: an adapter over python-terraform, which builds the argument lists and does nothing else here.

The rest of python-terraform is replaced. It runs children with the environment of this process, which cannot differ
between threads, keeps their whole output in memory, knows neither time limits nor signals, and turns every misspelled
attribute into a terraform command.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import python_terraform

from session_manager_fleet.changes import PlanOutcome
from session_manager_fleet.errors import TerraformError
from session_manager_fleet.files import open_private
from session_manager_fleet.terraform import processes
from session_manager_fleet.terraform.output import (
    Messages,
    StoppedError,
    credentials_in,
    failure,
    plain_errors,
    redactor,
)
from session_manager_fleet.terraform.provider_process import AttachedProvider, NotAttachableError, attached_provider
from session_manager_fleet.terraform.provider_search import MIRROR_VARIABLE
from session_manager_fleet.terraform.root_module import RootModule
from session_manager_fleet.terraform.running_command import RunningCommand
from session_manager_fleet.terraform.working_folder import working_folder

_NO_CHANGES, _CHANGES = 0, 2
_DEFAULT_TIMEOUT_SECONDS = 1800.0
_DEFAULT_LOCK_TIMEOUT_SECONDS = 300
_LAST_LINES = 5
# terraform.applying is false while resources are destroyed, so the role that changes them has to be asked for. A plan
# must have set an ephemeral variable for its apply to set it.
_CHANGES_VARIABLE = "TF_VAR_use_deployment_role"

# A rollout has asked who the caller is. By itself, the backend asks STS twice in every command, and uses no answer.
_KNOWN_CALLER = {"skip_credentials_validation": "true", "skip_requesting_account_id": "true"}

# Terraform's words for a package that differs from the lock file, when it is found and when it is installed
# (terraform 1.11, internal/providercache).
_OTHER_PACKAGE = ("match any of the checksums", "has checksums that are different")


class _CommandLine(python_terraform.Terraform):  # type: ignore[misc]
    """python-terraform's argument builder; everything else of the base class is out of reach."""

    def __init__(self, binary: str) -> None:
        # The constructor of the base class looks for a state file; it is not called.
        self.terraform_bin_path = binary
        self.temp_var_files = None

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(name)

    def cmd(self, *_: object, **__: object) -> NoReturn:
        raise NotImplementedError("use session_manager_fleet.terraform.Terraform")

    def arguments(self, command: str, *positional: str, **options: object) -> list[str]:
        """Return program, command, options and positional arguments."""
        return list(self.generate_cmd_string(command, *positional, **options))


_FLAG = python_terraform.IsFlagged


class Terraform:
    """Terraform in one folder, with one initialized data folder that all workspaces share.

    Args:
        binary: Path of the executable.
        root: The root module, or another folder with a configuration.
        data_folder: Terraform's data folder; one for each backend configuration.
        environment: The whole environment of the children, see `child_environment`.
        timeout_seconds: Time limit of one command, after which it is interrupted.
        lock_timeout_seconds: Time to wait for a locked state.
        secrets: Texts to hide in logs and errors, besides the AWS credentials in the environment.
        as_caller: Puts the caller's current credentials into the environment of a command that starts.

    Attributes:
        root: The root module.
        backend: Backend configuration of the last `init`; empty before.
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
        as_caller: Callable[[Mapping[str, str]], Mapping[str, str]] = dict,
    ) -> None:
        self.root = root
        self._command_line = _CommandLine(binary)
        self._data_folder = data_folder
        self._environment = {**environment, "TF_DATA_DIR": str(data_folder)}
        self._timeout_seconds = timeout_seconds
        self._lock_timeout = f"{lock_timeout_seconds}s"
        self._as_caller = as_caller
        self._secrets = set(secrets)
        self._redact = redactor(environment, secrets)
        self.backend: Mapping[str, str] = {}
        self._not_attachable = ""
        self._running: set[RunningCommand] = set()
        self._lock = threading.Lock()

    def interrupt(self) -> None:
        """Interrupt every running command as Ctrl-C does; terraform saves its state and stops.

        Each command gets one interrupt only: after a second one terraform exits without saving its state.
        """
        with self._lock:
            for command in self._running:
                command.wake.set()

    def try_provider(self) -> str:
        """Start the provider once, and return why terraform has to start it itself for plans; empty if it need not.

        Raises:
            TerraformError: The provider's package is not the one in the lock file.
        """
        with ExitStack() as stack:
            self._attach(stack, self._environment)
        return self._not_attachable

    def init(self, backend: Mapping[str, str], log: Path) -> None:
        """Initialize the data folder for a backend; no workspace is selected, so any may be used afterwards.

        Args:
            backend: Backend configuration, see `StateBackend.configuration`.
            log: File for terraform's output.

        Raises:
            TerraformError: The backend cannot be used, or the provider cannot be installed.
        """
        arguments = self._command_line.arguments(
            "init",
            backend_config={**backend, **_KNOWN_CALLER},
            input=False,
            no_color=_FLAG,
            lockfile="readonly",
        )
        self._init(arguments, log)
        self.backend = dict(backend)

    def _init(self, arguments: list[str], log: Path) -> None:
        lines: list[str] = []
        code = self._run(arguments, {}, log, self._collect(lines))
        if code != 0:
            text = " ".join(" ".join(lines).split())
            if any(words in text for words in _OTHER_PACKAGE):
                raise TerraformError(
                    "The package of hashicorp/aws that Terraform found does not have a checksum of "
                    ".terraform.lock.hcl: it was changed, or is for another platform. Get it again, from the registry "
                    f"or with `terraform providers mirror FOLDER` and {MIRROR_VARIABLE}=FOLDER. Log: {log}.",
                    plain_errors(lines),
                )
            if "provider packages" in text or "registry.terraform.io" in text:
                raise TerraformError(
                    "Terraform cannot install the provider hashicorp/aws: allow access to registry.terraform.io, or "
                    f"set {MIRROR_VARIABLE} to a plugin directory in the registry's layout that holds it. Log: {log}."
                )
            # Version managers write their own errors.
            said = [" ".join(line.split()) for line in lines if line.strip()][-_LAST_LINES:]
            raise TerraformError(f"terraform init failed. Log: {log}.", plain_errors(lines) or said)

    def validate(self, log: Path, lock_file: Path | None = None) -> None:
        """Validate the configuration, without backend and credentials.

        Args:
            log: File for terraform's output.
            lock_file: Lock file that the provider has to match where the folder has none: validation executes it.

        Raises:
            TerraformError: The provider cannot be installed, or the configuration is invalid.
        """
        # Only the root module keeps its lock file; those of modules and examples are not wanted in the repository.
        with _without_new_lock_file(self.root.lock_file, lock_file) as locked:
            lockfile = "readonly" if locked else None
            self._init(
                self._command_line.arguments("init", backend=False, input=False, no_color=_FLAG, lockfile=lockfile), log
            )
            arguments = self._command_line.arguments("validate", no_color=_FLAG)
            lines: list[str] = []
            crashes: list[str] = []
            code = self._run(arguments, {}, log, self._collect(lines), crashes=crashes)
        if code != 0:
            raise failure("validate", code, [*plain_errors(lines), *crashes], log)

    def plan(
        self,
        workspace: str,
        variables: Path,
        plan: Path,
        log: Path,
        *,
        destroy: bool = False,
        components: Sequence[str] = (),
    ) -> PlanOutcome:
        """Plan a workspace, which need not exist yet, and save the plan.

        Args:
            workspace: Terraform workspace.
            variables: Rendered tfvars.
            plan: File to save the plan in.
            log: File for terraform's output.
            destroy: Plan to destroy everything.
            components: Modules of the root to limit the plan to, with what they need; empty for all.

        Raises:
            StateLockedError: The state is locked.
            TerraformError: With terraform's own errors.
        """
        # The caller's account is always checked.
        wanted = [*(f"module.{name}" for name in components), "data.aws_caller_identity.current"]
        arguments = self._command_line.arguments(
            "plan",
            json=_FLAG,
            detailed_exitcode=_FLAG,
            destroy=_FLAG if destroy else None,
            input=False,
            lock_timeout=self._lock_timeout,
            var_file=str(variables),
            out=str(plan),
            target=wanted if components else None,
        )
        messages = Messages(self._hide)
        with _private_file(plan):
            # A plan that destroys configures the provider twice, which AWS_CA_BUNDLE does not allow in one process.
            crashes = None if destroy else messages.errors
            role = {_CHANGES_VARIABLE: "false"} if destroy else {}
            code = self._run(arguments, {"TF_WORKSPACE": workspace, **role}, log, messages.take, crashes=crashes)
        if code not in {_NO_CHANGES, _CHANGES}:
            raise failure("plan", code, messages.errors, log)
        counts = messages.counts
        return PlanOutcome(
            changed=code == _CHANGES,
            add=counts.get("add", 0),
            change=counts.get("change", 0),
            destroy=counts.get("remove", 0),
            drifted=tuple(messages.drifted),
        )

    def show(self, plan: Path, log: Path) -> dict[str, Any]:
        """Return a saved plan in terraform's JSON format.

        Raises:
            TerraformError: The plan cannot be read.
        """
        arguments = self._command_line.arguments("show", str(plan), json=_FLAG)
        lines: list[str] = []
        crashes: list[str] = []
        code = self._run(arguments, {}, None, lines.append, crashes=crashes)
        try:
            # Warnings of the command line configuration may stand before the one line of JSON.
            shown = json.loads(next(line for line in lines if line.startswith("{")))
        except (ValueError, StopIteration):
            shown = None
        if code != 0 or not isinstance(shown, dict):
            raise failure("show", code, [*(self._hide(error) for error in plain_errors(lines)), *crashes], log)
        return shown

    def apply(self, workspace: str, plan: Path, log: Path, *, destroy: bool = False) -> None:
        """Apply a saved plan.

        A state that cannot be saved is kept in the folder of the plan, see `unsaved_state`.

        Args:
            workspace: Terraform workspace.
            plan: The saved plan.
            log: File for terraform's output.
            destroy: Whether it is a plan to destroy everything.

        Raises:
            StateLockedError: The state is locked.
            StalePlanError: The state has changed since the plan was made.
            TerraformError: With terraform's own errors.
        """
        arguments = self._command_line.arguments(
            "apply", str(plan), json=_FLAG, input=False, lock_timeout=self._lock_timeout
        )
        messages = Messages(self._hide)
        with working_folder(self.root, plan.parent) as folder:
            role = {_CHANGES_VARIABLE: "true"} if destroy else {}
            code = self._run(arguments, {"TF_WORKSPACE": workspace, **role}, log, messages.take, folder)
        if code != 0:
            raise failure("apply", code, messages.errors, log)

    def _hide(self, text: str) -> str:
        return self._redact(text)

    def _current_environment(self) -> dict[str, str]:
        """Return the environment with the caller's current credentials, which are hidden from now on.

        Raises:
            AccessError: They cannot be renewed.
        """
        environment = dict(self._as_caller(self._environment))
        with self._lock:
            known = len(self._secrets)
            self._secrets.update(credentials_in(environment))
            if len(self._secrets) > known:
                self._redact = redactor(environment, self._secrets)
        return environment

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
        *,
        crashes: list[str] | None = None,
    ) -> int:
        """Run a command in a folder (default: the root module's) until it ends, and return its exit code.

        Every line of output is passed to `take`; what that returns, or else the line, is written to the log. With
        `crashes` the command gets a provider process of its own, if that is possible; it receives how that crashed.

        Raises:
            StoppedError: The command took too long and did not succeed.
            TerraformError: The provider's package is not the one in the lock file.
            AccessError: The caller's credentials cannot be renewed.
        """
        environment = {**self._current_environment(), **extra}
        with _log_writer(log) as write, self._interruptible() as command, ExitStack() as stack:
            provider = self._attach(stack, environment) if crashes is not None else None
            command.process = process = processes.start(
                arguments,
                folder=folder or self.root.path,
                environment={**environment, **(provider.attachment if provider else {})},
            )
            threading.Thread(target=command.stop_in_time, args=(self._timeout_seconds,), daemon=True).start()
            try:
                assert process.stdout is not None  # noqa: S101 - a pipe was asked for
                for raw in process.stdout:
                    line = raw.decode("utf-8", "replace").rstrip("\n")
                    write(take(line) or line)
                code = process.wait()
            except BaseException:
                # Whatever happens here, terraform may finish: an apply must not be abandoned.
                command.wake.set()
                process.communicate()
                raise
            if provider and crashes is not None and (crash := provider.crash()):
                crashes.append(self._hide(crash))
                for line in [crash, *provider.output]:
                    write(self._hide(line))
        if command.late and code not in {_NO_CHANGES, _CHANGES}:
            message = f"terraform {arguments[1]} took longer than {self._timeout_seconds:g} seconds and was stopped."
            raise StoppedError(f"{message} Log: {log}." if log else message)
        return code

    @contextmanager
    def _interruptible(self) -> Iterator[RunningCommand]:
        """Yield a command that `interrupt` reaches, even before it is started."""
        command = RunningCommand()
        with self._lock:
            self._running.add(command)
        try:
            yield command
        finally:
            command.finished.set()
            command.wake.set()
            with self._lock:
                self._running.discard(command)

    def _attach(self, stack: ExitStack, environment: Mapping[str, str]) -> AttachedProvider | None:
        """Start a provider for one command, until the stack is closed; None where terraform has to do it itself."""
        if self._not_attachable:
            return None
        try:
            return stack.enter_context(attached_provider(self.root, self._data_folder, environment))
        except NotAttachableError as error:
            self._not_attachable = str(error)
            return None


@contextmanager
def _log_writer(log: Path | None) -> Iterator[Callable[[str], None]]:
    """Yield a function that appends a line to a private log file; without a file it does nothing.

    Errors of writing are ignored: a full disk must not stop terraform.
    """
    if log is None:
        yield lambda _: None
        return
    handle = open_private(log, os.O_WRONLY | os.O_APPEND)
    try:

        def write(line: str) -> None:
            with suppress(OSError):
                os.write(handle, f"{line}\n".encode("utf-8", "replace"))

        yield write
    finally:
        os.close(handle)


@contextmanager
def _without_new_lock_file(lock_file: Path, substitute: Path | None) -> Iterator[bool]:
    """Remove the lock file that terraform writes, or the substitute, where there was none; yield whether one binds."""
    if lock_file.exists():
        yield True
        return
    try:
        if substitute:
            shutil.copyfile(substitute, lock_file)
        yield substitute is not None
    finally:
        lock_file.unlink(missing_ok=True)


@contextmanager
def _private_file(path: Path) -> Iterator[None]:
    """Keep a file that a child writes readable by its owner only, from its first byte."""
    path.touch(mode=0o600)
    yield
    if path.exists():
        path.chmod(0o600)
