"""Run Lambda functions in child processes: pass the event, wait for the outcome, end the whole process group."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aws_sandbox.identity import Credentials

_RUNTIME = Path(__file__).with_name("function_runtime.py")
_CONFINEMENT = Path(__file__).with_name("function_confinement.py")

# The init phase does not count against the function's timeout; Lambda limits it to 10 s:
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
_INIT_SECONDS = 10.0

_EXIT_SECONDS = 5.0

# systemd takes the users of its services, which have no files, from these ids: https://systemd.io/UIDS-GIDS/.
_UNUSED_USERS = range(61184, 65520)


@dataclass(frozen=True)
class Context:
    """The handler's context, with the attribute names of Lambda's context object."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    log_stream_name: str


@dataclass(frozen=True)
class Invocation:
    """One invocation of a function.

    Attributes:
        package: The uploaded zip, or a folder with the code.
        handler: `package.module.function`.
        timeout: Timeout in seconds.
        environment: All environment variables of the process.
        context: The handler's context.
        event: The handler's event.
    """

    package: Path
    handler: str
    timeout: int
    environment: Mapping[str, str]
    context: Context
    event: Any


@dataclass(frozen=True)
class Outcome:
    """The outcome of an invocation.

    Attributes:
        payload: The handler's result, or Lambda's error object, as JSON.
        failed: Whether the payload is an error object.
        log: Output of the function between Lambda's START and END lines.
    """

    payload: str
    failed: bool
    log: str


def process_environment(endpoint_url: str, region: str, credentials: Credentials) -> dict[str, str]:
    """Return environment variables for a process that uses the credentials of a role in a region of the emulator."""
    return {
        "PATH": os.defpath,
        "LANG": "en_US.UTF-8",
        "TZ": "UTC",
        "HOME": os.devnull,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "AWS_ENDPOINT_URL": endpoint_url,
    }


class FunctionProcesses:
    """Runs each invocation in a new process group, without privileges that a function does not need.

    Args:
        port: Port of the emulator, the only one that functions connect to.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._user = unprivileged_user()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._starting = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """Kill the running functions and start no more."""
        with self._starting:
            self._stopped = True
            for process in tuple(self._running):
                _kill_group(process)

    def run(self, invocation: Invocation) -> Outcome:
        """Run an invocation until it ends or times out."""
        request_id = invocation.context.aws_request_id
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="function-") as folder:
            log = Path(folder, "log")
            answer = self._answer(invocation, log)
            printed = log.read_text(encoding="utf-8", errors="replace")
        failed = "error" in answer
        text = (
            f"START RequestId: {request_id} Version: {invocation.context.function_version}\n"
            f"{printed}"
            f"END RequestId: {request_id}\n"
            f"REPORT RequestId: {request_id}\tDuration: {(time.monotonic() - started) * 1000:.2f} ms\n"
        )
        return Outcome(json.dumps(answer["error"]) if failed else answer["result"], failed, text)

    def _answer(self, invocation: Invocation, log: Path) -> dict[str, Any]:
        folder = log.parent
        package = _copy(invocation.package, folder)
        if self._user is not None:
            for path in (folder, package, *package.rglob("*")):
                os.chown(path, self._user, self._user)
        confinement = {
            "folder": str(folder),
            "port": self._port,
            "seconds": invocation.timeout + int(_INIT_SECONDS),
        }
        reader, writer = os.pipe()
        with log.open("wb") as stdout, self._starting:
            if self._stopped:
                os.close(reader)
                os.close(writer)
                return _failure("Runtime.ExitError", "The emulator is stopping")
            process = subprocess.Popen(
                # Isolated: environment and working folder add nothing to the import path.
                [sys.executable, "-I", str(_CONFINEMENT), json.dumps(confinement), str(_RUNTIME), str(writer)],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
                cwd=folder,
                env={**invocation.environment, "TMPDIR": str(folder)},
                start_new_session=True,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
            )
            self._running.add(process)
        os.close(writer)
        try:
            return _converse(process, reader, invocation, package)
        finally:
            os.close(reader)
            # Processes that the function started must not outlive it.
            _kill_group(process)
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]
            self._running.discard(process)


def _copy(package: Path, folder: Path) -> Path:
    """Copy a package to the folder of an invocation, which alone is readable there."""
    copy = folder / package.name
    if package.is_dir():
        shutil.copytree(package, copy)
    else:
        shutil.copyfile(package, copy)
    return copy


def unprivileged_user() -> int | None:
    """Return the id of a user without files and processes, for functions; None to run them as the own user.

    Only root may change the user, and it helps only where that user can read Python.
    """
    if os.geteuid() != 0:
        return None
    needed = (sys.executable, sys.prefix, sys.base_prefix, tempfile.gettempdir(), str(_RUNTIME))
    if not all(is_readable_by_all(Path(path)) for path in needed):
        return None
    user = secrets.choice(_UNUSED_USERS)
    try:
        subprocess.run(["/bin/sh", "-c", ":"], user=user, group=user, extra_groups=[], check=True)
    except (OSError, subprocess.CalledProcessError):
        # A container may map no such user.
        return None
    return user


def is_readable_by_all(path: Path) -> bool:
    """Tell whether every user can reach and read a file or folder."""
    try:
        resolved = path.resolve(strict=True)
        folders = all(folder.stat().st_mode & stat.S_IXOTH for folder in (*resolved.parents, *path.absolute().parents))
        return folders and bool(resolved.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _converse(process: subprocess.Popen[bytes], reader: int, invocation: Invocation, package: Path) -> dict[str, Any]:
    """Send the invocation and return `{"result": …}` or `{"error": …}`."""
    message = {
        "code": str(package),
        "handler": invocation.handler,
        "timeout": invocation.timeout,
        "context": asdict(invocation.context),
        "event": invocation.event,
    }
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(message).encode() + b"\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    received = b""
    deadline = time.monotonic() + _INIT_SECONDS
    while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(reader, 65536)
        if not chunk:
            break
        if not received:
            # The first byte marks the start of the handler.
            deadline = time.monotonic() + invocation.timeout
        received += chunk
    else:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        request_id = invocation.context.aws_request_id
        return _failure(
            "Sandbox.Timedout", f"{now}Z {request_id} Task timed out after {invocation.timeout:.2f} seconds"
        )
    if not received.strip():
        code = process.wait(_EXIT_SECONDS)
        ending = f"exit status {code}" if code >= 0 else f"signal: {signal.Signals(-code).name}"
        return _failure(
            "Runtime.ExitError",
            f"RequestId: {invocation.context.aws_request_id} Error: Runtime exited with error: {ending}",
        )
    answer: dict[str, Any] = json.loads(received)
    return answer


def _failure(error_type: str, message: str) -> dict[str, Any]:
    return {"error": {"errorType": error_type, "errorMessage": message}}


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
