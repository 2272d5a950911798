"""Run locks: no two runs of one folder of runs work on the same target at the same time.

A run lock is a file on which its process holds an advisory lock (flock). The kernel releases it with the process, so
there are no stale run locks. Runs in different folders are kept apart by the state locks of terraform.
"""

import datetime
import errno
import fcntl
import json
import os
import socket
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from session_manager_fleet.errors import InputError
from session_manager_fleet.files import MEGABYTE, make_private_folder, open_private, open_regular, refuse_links

FOLDER = ".active"
_MUTEX = "mutex"
_SHOWN = 3
_LARGEST = 64 * MEGABYTE


@dataclass(frozen=True)
class _Holder:
    """Content of the file of a run lock."""

    pid: int
    host: str
    since: str
    targets: tuple[str, ...]


_HOLDER = TypeAdapter(_Holder)


@dataclass
class RunLock(AbstractContextManager["RunLock"]):
    """Lock of a run and its targets; as a context manager it is released at the end.

    Attributes:
        path: The locked file, which names the process and the targets.
    """

    path: Path
    _handle: int

    @classmethod
    def take(cls, runs: Path, run_id: str, targets: Collection[str] = ()) -> Self:
        """Lock a run, and targets for it, by their keys, as `111122223333/eu-west-1`.

        Raises:
            InputError: Another run has locked one of them, or another process the run.
        """
        folder = runs / FOLDER
        make_private_folder(folder)
        refuse_links(folder, below=folder)
        path = folder / f"{run_id}.json"
        with locked(folder / _MUTEX):
            for other in folder.glob("*.json"):
                _refuse_overlap(other, run_id, set(targets))
            lock = cls(path, open_private(path, os.O_RDWR))
            try:
                fcntl.flock(lock._handle, fcntl.LOCK_EX)
                lock._write(targets)
            except BaseException:
                lock.release()
                raise
        return lock

    def hold(self, targets: Collection[str]) -> None:
        """Lock targets for the run in place of its current ones.

        Raises:
            InputError: Another run has locked one of them.
        """
        with locked(self.path.parent / _MUTEX):
            for other in self.path.parent.glob("*.json"):
                if other != self.path:
                    _refuse_overlap(other, self.path.stem, set(targets))
            self._write(targets)

    def _write(self, targets: Collection[str]) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        content = {"pid": os.getpid(), "host": socket.gethostname(), "since": now, "targets": sorted(targets)}
        text = json.dumps(content).encode()
        if os.pwrite(self._handle, text, 0) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        os.truncate(self._handle, len(text))

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        self.release()

    def release(self) -> None:
        """Release the lock; it may be called again."""
        if self._handle >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1


def _refuse_overlap(path: Path, run_id: str, targets: set[str]) -> None:
    """Refuse targets that another run has locked; the file of an ended process is removed."""
    try:
        with open_regular(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held = _HOLDER.validate_json(file.read(_LARGEST))
            else:
                path.unlink(missing_ok=True)
                return
    except FileNotFoundError:
        return
    except ValidationError as error:
        raise InputError("This is not the lock of a run; stop what holds it, and remove it.", str(path)) from error
    common = sorted(targets & set(held.targets))
    if common or path.stem == run_id:
        who = f"process {held.pid} on {held.host} since {held.since}"
        some = ", ".join(common[:_SHOWN]) + (f" and {len(common) - _SHOWN} more" if len(common) > _SHOWN else "")
        what = f" (targets {some})" if common else ""
        raise InputError(f"Run {path.stem} is locked by {who}{what}. Wait for it, or stop it.")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's advisory lock, for which other processes wait."""
    handle = open_private(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
