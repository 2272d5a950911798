"""Two runs never work on the same target at once, and a run that died stands in nobody's way."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from session_manager_fleet.errors import InputError
from session_manager_fleet.run import run_lock as claims
from session_manager_fleet.run.run_lock import RunLock

SCRIPTS = Path(claims.__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from session_manager_fleet.run.run_lock import RunLock
claim = RunLock.take(Path(sys.argv[1]), "other", ["111122223333/eu-west-1"])
print("held", flush=True)
time.sleep(300)
"""


def test_targets_of_a_run_at_work_are_refused_to_others(tmp_path: Path) -> None:
    one = RunLock.take(tmp_path, "one", ["a/1", "a/2", "b/1", "b/2", "c/1"])

    with pytest.raises(InputError) as caught:
        RunLock.take(tmp_path, "two", ["b/2", "b/1", "a/2", "a/1", "d/1"])
    other = RunLock.take(tmp_path, "three", ["d/1"])

    message = str(caught.value)
    assert message.startswith("Run one is locked by process ")
    assert "(targets a/1, a/2, b/1 and 1 more). Wait for it, or stop it." in message
    assert f"process {os.getpid()} on " in message
    one.release()
    RunLock.take(tmp_path, "two", ["a/1"]).release()
    other.release()
    assert list((tmp_path / ".active").glob("*.json")) == []


def test_a_run_is_at_work_once_only(tmp_path: Path) -> None:
    claim = RunLock.take(tmp_path, "one", ["a/1"])

    with pytest.raises(InputError, match=r"Run one is locked by process [^()]*\. Wait"):
        RunLock.take(tmp_path, "one", ["b/1"])

    claim.release()
    claim.release()
    RunLock.take(tmp_path, "one", ["b/1"]).release()


def test_a_run_is_claimed_before_its_targets(tmp_path: Path) -> None:
    other = RunLock.take(tmp_path, "other", ["a/1", "a/2"])
    with RunLock.take(tmp_path, "one") as claim:
        with pytest.raises(InputError, match=r"Run one is locked by process [^()]*\. Wait"):
            RunLock.take(tmp_path, "one")
        with pytest.raises(InputError, match=r"Run other is locked by .* \(targets a/1\)"):
            claim.hold(["a/1", "b/1"])
        claim.hold(["b/1", "b/2", "b/3"])
        claim.hold(["b/3"])
        RunLock.take(tmp_path, "two", ["b/1"]).release()
        with pytest.raises(InputError, match=r"Run one is locked by .* \(targets b/3\)"):
            RunLock.take(tmp_path, "two", ["b/3"])

    RunLock.take(tmp_path, "two", ["b/3"]).release()
    other.release()


def test_a_claim_ends_with_whatever_was_done_under_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunLock.take(tmp_path, "one", ["a/1"]):
        raise ZeroDivisionError

    assert list((tmp_path / ".active").glob("*.json")) == []


@pytest.mark.parametrize("moment", ["before it is opened", "before it is removed"])
def test_a_claim_that_is_released_while_others_are_looked_at_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / "other.json"
    path.touch()

    def release(*_: object) -> None:
        path.unlink()

    if moment == "before it is opened":
        path.unlink()
    else:
        monkeypatch.setattr("fcntl.flock", release)
    claims._refuse_overlap(path, "mine", {"111122223333/eu-west-1"})

    assert not path.exists()


def test_claims_are_private(tmp_path: Path) -> None:
    claim = RunLock.take(tmp_path, "one", ["a/1"])

    assert stat.S_IMODE(claim.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(claim.path.parent.stat().st_mode) == 0o700
    claim.release()


def test_the_claim_of_a_process_that_was_killed_is_gone(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"Run other is locked by process {holder.pid} on .* \(targets "):
            RunLock.take(tmp_path, "mine", ["111122223333/eu-west-1"])
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    time.sleep(0.05)

    RunLock.take(tmp_path, "mine", ["111122223333/eu-west-1"]).release()
    assert list((tmp_path / ".active").glob("*.json")) == []
