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
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import python_terraform

from fleet import processes
from fleet.errors import InputError, TerraformError
from fleet.tfvars import quote, write_private

MINIMUM_VERSION = (1, 11)
PROVIDER_SOURCE = "registry.terraform.io/hashicorp/aws"
MIRROR_VARIABLE = "TF_PLUGIN_MIRROR"

_NO_CHANGES, _CHANGES = 0, 2
# A shell in between reports the signal that ended its child this way.
_SIGNAL_BASE = 128

# What terraform, its S3 backend and the AWS provider read; everything else of the caller's environment stays outside.
_PASSED_ON = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|LANG|LC_[A-Z]+|TZ|AWS_[A-Z0-9_]+|SSL_CERT_(FILE|DIR)"
    r"|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy"
)

_DEFAULT_TIMEOUT_SECONDS = 1800.0
_GRACE_SECONDS = 120.0


def find_terraform() -> str:
    """Return the path of a terraform executable that is new enough.

    Raises:
        InputError: There is none, or it is too old.
    """
    wanted = ".".join(str(part) for part in MINIMUM_VERSION)
    binary = shutil.which("terraform")
    if binary is None:
        raise InputError(f"Terraform {wanted} or newer is needed, and no terraform is on the PATH: install it first.")
    try:
        output = subprocess.run(
            [binary, "version", "-json"],
            env=_base_environment(os.environ),
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        version = str(json.loads(output)["terraform_version"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{binary} does not answer as terraform would: {error}") from error
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < MINIMUM_VERSION:
        raise InputError(f"Terraform {wanted} or newer is needed; {binary} is {version}.")
    return binary


def _base_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every child, from a list of what is passed on."""
    passed_on = {name: value for name, value in environment.items() if _PASSED_ON.fullmatch(name)}
    return {**passed_on, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}


def child_environment(environment: Mapping[str, str], folder: Path, gogc: str | None = None) -> dict[str, str]:
    """Return the environment for terraform in a run.

    Args:
        environment: The caller's environment.
        folder: Private folder for a command line configuration of our own.
        gogc: Value of Go's GOGC, or None for its default.

    Raises:
        InputError: TF_PLUGIN_MIRROR names a directory that does not hold the provider.
    """
    child = _base_environment(environment)
    if gogc:
        child["GOGC"] = gogc
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


@dataclass(frozen=True)
class PlanOutcome:
    """What a plan found.

    Attributes:
        changed: Whether there is anything to apply.
        add: Resources to create.
        change: Resources to update in place.
        destroy: Resources to delete; a replacement counts as one to create and one to delete.
    """

    changed: bool
    add: int = 0
    change: int = 0
    destroy: int = 0


@dataclass
class _Messages:
    """Collects from terraform's machine-readable output what the caller needs."""

    errors: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def take(self, line: str) -> str:
        """Read one line of `-json` output and return it as a person would read it."""
        try:
            message = json.loads(line)
            kind = message["type"]
        except (ValueError, KeyError, TypeError):
            return line
        if kind == "diagnostic":
            text = _diagnostic(message["diagnostic"])
            if message["diagnostic"].get("severity") == "error":
                self.errors.append(text)
            return f"{message.get('@timestamp', '')} {message['diagnostic'].get('severity', '')}: {text}"
        if kind == "change_summary":
            self.counts = {key: value for key, value in message["changes"].items() if isinstance(value, int)}
        return f"{message.get('@timestamp', '')} {message.get('@message', '')}"


def _diagnostic(diagnostic: Mapping[str, Any]) -> str:
    """Write a diagnostic of terraform in one paragraph."""
    place = [diagnostic["address"]] if diagnostic.get("address") else []
    if source := diagnostic.get("range"):
        place.append(f"{source['filename']}:{source['start']['line']}")
    where = f" ({', '.join(place)})" if place else ""
    detail = " ".join(str(diagnostic.get("detail", "")).split())
    return f"{diagnostic['summary']}{where}" + (f": {detail}" if detail else "")


class _CommandLine(python_terraform.Terraform):  # type: ignore[misc]
    """python-terraform's argument builder, with nothing of the rest within reach."""

    def __init__(self, binary: str) -> None:
        # The constructor of the base class looks for a state file, which is none of its business here.
        self.terraform_bin_path = binary
        self.temp_var_files = None

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(name)

    def cmd(self, *_: object, **__: object) -> NoReturn:
        raise NotImplementedError("commands are run by fleet.terraform.Terraform")

    def arguments(self, command: str, *positional: str, **options: object) -> list[str]:
        """Return program, command, options and positional arguments."""
        return list(self.generate_cmd_string(command, *positional, **options))


_FLAG = python_terraform.IsFlagged


class Terraform:
    """Terraform in one root folder, with one initialized data folder that all workspaces share.

    Args:
        binary: Path of the executable.
        root: Folder of the root module.
        data_folder: Terraform's data folder; one for each backend configuration.
        environment: The whole environment of the children, see `child_environment`.
        timeout_seconds: How long one command may take before it is interrupted.
    """

    def __init__(
        self,
        *,
        binary: str,
        root: Path,
        data_folder: Path,
        environment: Mapping[str, str],
        timeout_seconds: float = _DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self._command_line = _CommandLine(binary)
        self._root = root
        self._environment = {**environment, "TF_DATA_DIR": str(data_folder)}
        self._timeout_seconds = timeout_seconds
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def interrupt(self) -> None:
        """Ask every running command to stop, as Ctrl-C would: terraform saves its state first."""
        with self._lock:
            for process in self._running:
                _signal_group(process, signal.SIGINT)

    def init(self, backend: Mapping[str, str], log: Path) -> None:
        """Initialize the data folder for a backend; no workspace is selected, so any may be used afterwards.

        Raises:
            TerraformError: The backend or the provider cannot be had.
        """
        arguments = self._command_line.arguments(
            "init", backend_config=dict(backend), input=False, no_color=_FLAG, lockfile="readonly"
        )
        self._init(arguments, log)

    def _init(self, arguments: list[str], log: Path) -> None:
        lines: list[str] = []
        code = self._run(arguments, {}, log, lines.append)
        if code != 0:
            text = "\n".join(lines)
            if "provider packages" in text or "registry.terraform.io" in text:
                raise TerraformError(
                    "Terraform cannot get the provider hashicorp/aws: give it access to registry.terraform.io, or set "
                    f"{MIRROR_VARIABLE} to a plugin directory in the registry's layout that holds it. Log: {log}"
                )
            raise TerraformError(f"terraform init failed. Log: {log}", _plain_errors(lines))

    def validate(self, log: Path) -> None:
        """Check the configuration itself; neither a backend nor credentials are used.

        Raises:
            TerraformError: The provider cannot be had, or the configuration is invalid.
        """
        # The lock file of the root module is the only one; modules and examples make theirs in passing.
        with _without_new_lock_file(self._root) as locked:
            lockfile = "readonly" if locked else None
            self._init(
                self._command_line.arguments("init", backend=False, input=False, no_color=_FLAG, lockfile=lockfile), log
            )
            arguments = self._command_line.arguments("validate", no_color=_FLAG)
            lines: list[str] = []
            code = self._run(arguments, {}, log, lines.append)
        if code != 0:
            raise _failure("validate", code, _plain_errors(lines), log)

    def plan(self, workspace: str, variables: Path, plan: Path, log: Path) -> PlanOutcome:
        """Plan a workspace, which need not exist yet, and save the plan.

        Raises:
            TerraformError: With terraform's own errors.
        """
        arguments = self._command_line.arguments(
            "plan",
            json=_FLAG,
            detailed_exitcode=_FLAG,
            input=False,
            lock_timeout="5m",
            var_file=str(variables),
            out=str(plan),
        )
        messages = _Messages()
        with _private_file(plan):
            code = self._run(arguments, {"TF_WORKSPACE": workspace}, log, messages.take)
        if code not in {_NO_CHANGES, _CHANGES}:
            raise _failure("plan", code, messages.errors, log)
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
            raise _failure("show", code, _plain_errors(lines), log)
        return shown

    def apply(self, workspace: str, plan: Path, log: Path) -> None:
        """Apply exactly a saved plan.

        Raises:
            TerraformError: With terraform's own errors.
        """
        arguments = self._command_line.arguments("apply", str(plan), json=_FLAG, input=False, lock_timeout="5m")
        messages = _Messages()
        code = self._run(arguments, {"TF_WORKSPACE": workspace}, log, messages.take)
        if code != 0:
            raise _failure("apply", code, messages.errors, log)

    def _run(
        self,
        arguments: list[str],
        extra: Mapping[str, str],
        log: Path | None,
        take: Callable[[str], str | None],
    ) -> int:
        """Run a command to its end; every line of output goes through `take` and, as it returns it, into the log.

        Raises:
            TerraformError: The command took too long and did not succeed.
        """
        with _log_writer(log) as write:
            process = processes.start(
                arguments,
                folder=self._root,
                environment={**self._environment, **extra},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            with self._lock:
                self._running.add(process)
            finished, late = threading.Event(), threading.Event()
            threading.Thread(target=self._enforce_timeout, args=(process, finished, late), daemon=True).start()
            try:
                assert process.stdout is not None  # noqa: S101 - a pipe was asked for
                for raw in process.stdout:
                    line = raw.decode("utf-8", "replace").rstrip("\n")
                    write(take(line) or line)
                code = process.wait()
            finally:
                finished.set()
                with self._lock:
                    self._running.discard(process)
        if late.is_set() and code not in {_NO_CHANGES, _CHANGES}:
            message = f"terraform {arguments[1]} took longer than {self._timeout_seconds:g} seconds and was stopped."
            raise TerraformError(f"{message} Log: {log}" if log else message)
        return code

    def _enforce_timeout(
        self, process: subprocess.Popen[bytes], finished: threading.Event, late: threading.Event
    ) -> None:
        """Stop a command that takes too long: first as Ctrl-C would, and firmly only after a long grace period."""
        waits = (self._timeout_seconds, _GRACE_SECONDS, _GRACE_SECONDS)
        for seconds, step in zip(waits, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL), strict=True):
            if finished.wait(seconds):
                return
            late.set()
            _signal_group(process, step)


def _signal_group(process: subprocess.Popen[bytes], step: signal.Signals) -> None:
    try:
        os.killpg(process.pid, step)
    except ProcessLookupError:
        return


def _failure(command: str, code: int, errors: list[str], log: Path) -> TerraformError:
    if code < 0 or code > _SIGNAL_BASE:
        number = -code if code < 0 else code - _SIGNAL_BASE
        cause = "; the kernel does so when memory runs out" if number == signal.SIGKILL else ""
        errors = [*errors, f"terraform was ended by signal {number}{cause}."]
    return TerraformError(f"terraform {command} failed. Log: {log}", errors)


def _plain_errors(lines: list[str]) -> list[str]:
    """Return the error messages of terraform's text output, without the frame around them."""
    text = "\n".join(re.sub(r"^[╷│╵]\s?", "", line) for line in lines)
    errors = re.findall(r"^Error: (.*?)(?=^Error: |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(error.split()) for error in errors]


@contextmanager
def _log_writer(log: Path | None) -> Iterator[Callable[[str], None]]:
    """Append lines to a private log file as they come; without a file they go nowhere."""
    if log is None:
        yield lambda _: None
        return
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:

        def write(line: str) -> None:
            file.write(line + "\n")
            file.flush()

        yield write


@contextmanager
def _without_new_lock_file(folder: Path) -> Iterator[bool]:
    """Remove the lock file that `terraform init` writes where there was none; yields whether there was one."""
    lock_file = folder / ".terraform.lock.hcl"
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
