"""Child processes that are never left behind, even when this process is killed.

Every child inherits an environment variable with a value of its own for each command. A small guard process waits for
its parent to disappear; when it does, the guard looks for processes with that value, asks them to stop as Ctrl-C
would, so that terraform can save its state, and ends what does not follow.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import psutil

MARKER = "SESSION_MANAGER_FLEET_COMMAND"

# A terraform apply that is interrupted finishes its current AWS calls before it saves the state.
INTERRUPT_SECONDS = 60.0
_TERMINATE_SECONDS = 10.0
_POLL_SECONDS = 0.2

_guard_lock = threading.Lock()
_guard: subprocess.Popen[bytes] | None = None


def guard_children(interrupt_seconds: float = INTERRUPT_SECONDS) -> None:
    """Make sure that all children of this process end with it; only the first call counts.

    Children must inherit the environment variable MARKER, as those of `start` do.

    Args:
        interrupt_seconds: How long a child may take to stop in an orderly way once its parent has gone.
    """
    global _guard  # noqa: PLW0603 - one guard for the whole process
    with _guard_lock:
        if _guard is not None:
            return
        os.environ.setdefault(MARKER, uuid.uuid4().hex)
        _guard = subprocess.Popen(
            [sys.executable, "-m", "fleet.processes", os.environ[MARKER], str(interrupt_seconds), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # The guard must outlive a signal to the whole process group.
            start_new_session=True,
            env={**_without_marker(os.environ), "PYTHONPATH": str(Path(__file__).parent.parent)},
        )


def _without_marker(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != MARKER}


def start(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdout: int | BinaryIO,
    stderr: int | BinaryIO,
) -> subprocess.Popen[bytes]:
    """Start a guarded child in a process group of its own, without standard input.

    Args:
        command: Program and arguments; no shell is involved.
        folder: Working directory.
        environment: The whole environment of the child, but for the marker.
        stdout: File or `subprocess.PIPE`.
        stderr: File, `subprocess.PIPE` or `subprocess.STDOUT`.
    """
    guard_children()
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, MARKER: os.environ[MARKER]},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def _marked(marker: str, parent: int) -> list[psutil.Process]:
    """Return the running processes that carry the marker, but for the parent, which may still be about to exit."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.pid != parent
                and process.environ().get(MARKER) == marker
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _sweep(marker: str, interrupt_seconds: float, parent: int) -> None:
    """End all marked processes: first as Ctrl-C would, then firmly."""
    steps = ((signal.SIGINT, interrupt_seconds), (signal.SIGTERM, _TERMINATE_SECONDS), (signal.SIGKILL, 1.0))
    for step, seconds in steps:
        deadline = time.monotonic() + seconds
        signalled: set[int] = set()
        while remaining := _marked(marker, parent):
            # A child that was being started may appear after the first look.
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
            if not _marked(marker, parent):
                return


def _guard_main(marker: str, interrupt_seconds: float, parent: int) -> None:
    """Wait until the parent is gone, then end what it left."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.stdin.buffer.read()
    _sweep(marker, interrupt_seconds, parent)


if __name__ == "__main__":
    _guard_main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
