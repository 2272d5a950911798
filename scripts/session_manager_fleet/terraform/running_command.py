"""A running terraform command, which can be asked to stop, and is stopped when it takes too long."""

import os
import signal
import subprocess
import threading
from dataclasses import dataclass, field

_GRACE_SECONDS = 120.0


@dataclass(eq=False)
class RunningCommand:
    """A running command.

    Attributes:
        process: The command, once it is started.
        wake: Set when the command shall stop, or has ended.
        finished: Set when the command has ended.
        late: Whether the command exceeded its time limit.
    """

    process: subprocess.Popen[bytes] | None = None
    wake: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    late: bool = False

    def stop_in_time(self, seconds: float) -> None:
        """Wait until the command must stop, then interrupt it; terminate and kill it only after long grace periods.

        A terraform that is killed during an apply loses what it just created, and leaves its lock behind.
        """
        self.late = not self.wake.wait(min(threading.TIMEOUT_MAX, seconds))
        for step in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.finished.is_set():
                return
            assert self.process is not None  # noqa: S101 - it is started before this thread
            _signal_group(self.process, step)
            self.finished.wait(_GRACE_SECONDS)


def _signal_group(process: subprocess.Popen[bytes], step: signal.Signals) -> None:
    try:
        os.killpg(process.pid, step)
    except ProcessLookupError:
        return
