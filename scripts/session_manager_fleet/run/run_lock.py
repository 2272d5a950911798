"""Which targets a run works on, so that no other run of the same folder of runs works on them at the same time.

A claim is a file with a lock of the kernel on it, which is gone as soon as its process is: there are no stale claims.
Runs that do not share the folder are kept apart by the locks of terraform's states.
"""

from __future__ import annotations

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

from session_manager_fleet.errors import InputError

FOLDER = ".active"
_MUTEX = "mutex"
_SHOWN = 3


@dataclass
class RunLock(AbstractContextManager["RunLock"]):
    """A run that is at work, and its targets; as a context manager it is released at the end.

    Attributes:
        path: The file that says so.
    """

    path: Path
    _handle: int

    @classmethod
    def take(cls, runs: Path, run_id: str, targets: Collection[str] = ()) -> RunLock:
        """Lock a run, and targets for it.

        Args:
            runs: Folder of the runs.
            run_id: The run.
            targets: Keys of the targets, as `111122223333/eu-west-1`.

        Raises:
            InputError: Another run works on one of them, or another process on the same run.
        """
        folder = runs / FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{run_id}.json"
        with _locked(folder / _MUTEX):
            for other in folder.glob("*.json"):
                _refuse_overlap(other, run_id, set(targets))
            claim = cls(path, os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            try:
                fcntl.flock(claim._handle, fcntl.LOCK_EX)
                claim._write(targets)
            except BaseException:
                claim.release()
                raise
        return claim

    def hold(self, targets: Collection[str]) -> None:
        """Lock targets for the run, in place of those that it holds.

        Raises:
            InputError: Another run works on one of them.
        """
        with _locked(self.path.parent / _MUTEX):
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
        """Release it, whatever happened."""
        self.release()

    def release(self) -> None:
        """Give the targets free; once is enough."""
        if self._handle >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1


def _refuse_overlap(path: Path, run_id: str, targets: set[str]) -> None:
    """Refuse targets that a claim holds; a claim whose process is gone is removed, unless it was released just now."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = json.loads(file.read())
        else:
            path.unlink(missing_ok=True)
            return
    common = sorted(targets & set(held["targets"]))
    if common or path.stem == run_id:
        who = f"process {held['pid']} on {held['host']}, since {held['since']}"
        some = ", ".join(common[:_SHOWN]) + (f" and {len(common) - _SHOWN} more" if len(common) > _SHOWN else "")
        what = f"on {some}" if common else "on this run"
        raise InputError(f"The run {path.stem} is at work {what} ({who}): wait until it is over, or stop it.")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
