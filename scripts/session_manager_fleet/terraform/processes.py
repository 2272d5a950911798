"""Child processes that are never left behind, even when this process is killed.

Every child inherits an environment variable that lists the ids of all guarded processes above it. A small guard process
waits for its parent to disappear, then looks for processes below it by its parent's id: it lets them finish, and
interrupts and kills those that take too long. An interrupted terraform breaks off the calls that it is waiting for, and
may never learn their outcome; so it gets time to finish first.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

MARKER = "SESSION_MANAGER_FLEET_COMMAND"
# Also set for a child that serves others, and never finishes by itself.
_SERVICE = "SESSION_MANAGER_FLEET_SERVICE"
_SEPARATOR = ":"

# An apply takes minutes; a resumed run waits for its state lock meanwhile.
FINISH_SECONDS = 600.0
# An interrupted terraform still has to save its state.
INTERRUPT_SECONDS = 60.0
_TERMINATE_SECONDS = 10.0
_PIPE_BYTES = 1024**2
_POLL_SECONDS = 0.2

_guard_lock = threading.Lock()
_guard: subprocess.Popen[bytes] | None = None


def guard_children(interrupt_seconds: float = INTERRUPT_SECONDS, finish_seconds: float = 0.0) -> None:
    """Make sure that all children of this process end with it; only the first call counts.

    Children must inherit the environment variable MARKER, as those of `start` do.

    Args:
        interrupt_seconds: Time that an interrupted child gets to stop.
        finish_seconds: Time that a child gets to finish after its parent is gone, before it is interrupted.
    """
    global _guard  # noqa: PLW0603 - one guard for the whole process
    with _guard_lock:
        if _guard is not None:
            return
        own = uuid.uuid4().hex
        # A process that was itself started by a guarded one must end its own children only, not its siblings.
        os.environ[MARKER] = _SEPARATOR.join(filter(None, [os.environ.get(MARKER), own]))
        _guard = subprocess.Popen(
            [
                # Isolated: nothing in the caller's folder or PYTHONPATH is imported, whatever its name.
                *(sys.executable, "-I", __file__, own),
                *(str(finish_seconds), str(interrupt_seconds), str(os.getpid())),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # The guard must outlive a signal to the whole process group.
            start_new_session=True,
            cwd="/",
            env=_without_marker(os.environ),
        )


def _without_marker(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != MARKER}


def start(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], serves: bool = False
) -> subprocess.Popen[bytes]:
    """Start a guarded child in a new process group, without standard input; its output comes through a pipe.

    Files that the child creates can be read by their owner only. The child holds the reading end of the pipe, too:
    otherwise the first line that it writes after the end of its parent would kill it.

    Args:
        command: Program and arguments; no shell is involved.
        folder: Working directory.
        environment: The whole environment of the child, without the marker.
        serves: The child serves others until it is ended: after the end of its parent it stays as long as they do.
    """
    guard_children(finish_seconds=FINISH_SECONDS)
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as output:
        # All further output of an orphaned apply must fit into the pipe: it is no longer read.
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**environment, MARKER: os.environ[MARKER], **({_SERVICE: "1"} if serves else {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(reading,),
                start_new_session=True,
                umask=0o077,
            )
        except BaseException:
            os.close(reading)
            raise
    process.stdout = os.fdopen(reading, "rb")
    return process


def started_below(guarded: str, environment: Mapping[str, str]) -> bool:
    """Return whether a process with this environment was started, directly or not, by a guarded process."""
    return guarded in environment.get(MARKER, "").split(_SEPARATOR)


def _marked(guarded: str, parent: int, *, services: bool = True) -> list[psutil.Process]:
    """Return the running processes below a guarded process, without the parent, which may be about to exit."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if (
                process.pid != parent
                and started_below(guarded, environment)
                and (services or _SERVICE not in environment)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _sweep(guarded: str, finish_seconds: float, interrupt_seconds: float, parent: int) -> None:
    """Let all processes below a guarded one finish; interrupt, then terminate, then kill those that do not."""
    deadline = time.monotonic() + finish_seconds
    while time.monotonic() < deadline and _marked(guarded, parent, services=False):
        time.sleep(_POLL_SECONDS)
    steps = ((signal.SIGINT, interrupt_seconds), (signal.SIGTERM, _TERMINATE_SECONDS), (signal.SIGKILL, 1.0))
    for step, seconds in steps:
        deadline = time.monotonic() + seconds
        signalled: set[int] = set()
        while remaining := _marked(guarded, parent):
            # A child that was being started may appear later.
            for process in remaining:
                if process.pid not in signalled:
                    signalled.add(process.pid)
                    try:
                        process.send_signal(step)
                    except psutil.Error:
                        continue
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        else:
            time.sleep(_POLL_SECONDS)
            if not _marked(guarded, parent):
                return


def _guard_main(guarded: str, finish_seconds: float, interrupt_seconds: float, parent: int) -> None:
    """Wait until the parent is gone, then end the processes that it left."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.stdin.buffer.read()
    _sweep(guarded, finish_seconds, interrupt_seconds, parent)


if __name__ == "__main__":
    _guard_main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
