"""One call at a time: moto is not made for threads, and two writers of one lock file in S3 must not both win."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """A lock that its holder can give away while it waits for something that itself calls the emulator."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def given_away(self) -> Iterator[None]:
        """Let other calls in for a while; the caller holds the turn before and after."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()
