"""The lock that serializes calls: moto is not thread-safe, and only one writer of a lock file in S3 may succeed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CallLock:
    """A lock that its holder can release while it waits for something that itself calls the emulator."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the lock for the block; the caller holds it before and after."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()
