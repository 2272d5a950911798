"""Background work that continues after the call that caused it is answered."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class Background:
    """Runs work in threads and counts the unfinished work."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0

    def start(self, work: Callable[[], None]) -> None:
        """Run work in a new thread; log its failure."""
        # Count before returning, so that a later `wait_until_idle` sees it.
        self._count(1)
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count the block as work."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until no work is left, including work caused by work; return False on a timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, seconds)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            log.exception("failed in the background")
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._changed:
            self._running += change
            self._changed.notify_all()
