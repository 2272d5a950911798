"""`rollout.py demo`: the whole job, and nothing left behind when it ends, however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from session_manager_fleet.terraform.processes import MARKER, started_below

pytestmark = pytest.mark.terraform

PROJECT = Path(__file__).resolve().parents[2]


def start_demo(
    folder: Path, *arguments: str, marker: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    if environment is None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.Popen(
        [sys.executable, str(PROJECT / "scripts" / "rollout.py"), "demo", *arguments],
        cwd=folder,
        env={**environment, MARKER: marker},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell that starts commands in the background makes them ignore Ctrl-C; a user's terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs here
    )


def left_over(marker: str) -> list[str]:
    """The processes of a demo that are still there, but for the guard that is about to end."""
    names = []
    for process in psutil.process_iter():
        try:
            if started_below(marker, process.environ()) and process.status() != psutil.STATUS_ZOMBIE:
                names.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return names


def wait_until_gone(marker: str, seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    while (names := left_over(marker)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return names


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"The demo ended before it printed {text!r}.")


@pytest.mark.slow
def test_demo_of_the_example_organization(tmp_path: Path) -> None:
    process = start_demo(tmp_path, marker="demo-example")
    output, _ = process.communicate(timeout=540)
    assert process.returncode == 0, output
    assert "Skipped 436192807765 Retired: the account is suspended." in output
    assert "9 targets: 9 applied" in output
    assert "9 targets: 9 no changes" in output
    # Plans that do the same in several accounts are shown once.
    assert max(map(int, re.findall(r"Change set .*, in (\d+) targets", output))) > 1
    # The end says where the reports are, and what to try next.
    ending = output[output.index("Reports of the rollout:") :]
    assert "report.html" in ending
    assert ending.rstrip().endswith("demo --keep")
    _, _, live = output.partition("Live preferences")
    assert live.count("CloudWatch ssm-sessionmanager-logs") == 9
    assert live.count("session data, CloudWatch") == 9
    assert live.count("idle 10, max 60") == 3  # LogArchive and Payments: data=restricted
    _, _, roles = live.partition("Instance roles")
    assert roles.count("succeeded") >= 5
    assert all("non-compliant" not in line.rsplit("│", 2)[1] for line in roles.splitlines() if line.startswith("│"))
    _, _, uploads = roles.partition("Log sessions")
    assert uploads.count("stored") == 3
    assert uploads.count("refused: AccessDenied") == 3
    _, _, verified = uploads.partition("8. Verify")
    before, _, after = verified.partition("Dismantled in ")
    assert "9 targets verified" in before
    for check in ("drift_repair", "preferences", "public_sharing"):
        assert f" {check} " not in before
        assert f" {check} " in after
    [run] = {path.parent for path in (tmp_path / "runs" / "demo").glob("2*/report.*")}
    for name in ("report.md", "report.junit.xml", "report.html"):
        assert f"Report: runs/demo/{run.name}/{name}" in output
        assert "9" in (run / name).read_text()
        assert (run / name).stat().st_mode & 0o777 == 0o600
    assert left_over("demo-example") == []
    assert not list((tmp_path / "runs").rglob("sandbox-*"))


LZA_ACCOUNTS = """
mandatoryAccounts:
  - {name: Management, email: management@example.com, organizationalUnit: Root}
  - {name: LogArchive, email: log-archive@example.com, organizationalUnit: Security}
  - {name: Audit, email: audit@example.com, organizationalUnit: Frozen}
workloadAccounts: []
accountIds:
  - {email: management@example.com, accountId: "310000000001"}
  - {email: LOG-ARCHIVE@example.com, accountId: "310000000002"}
  - {email: audit@example.com, accountId: "310000000003"}
"""


@pytest.fixture
def lza(tmp_path: Path) -> Path:
    """A Landing Zone Accelerator configuration with two accounts that are targets."""
    folder = tmp_path / "lza"
    folder.mkdir()
    (folder / "accounts-config.yaml").write_text(LZA_ACCOUNTS)
    (folder / "organization-config.yaml").write_text(
        "organizationalUnits: [{name: Security}, {name: Frozen, ignore: true}, {name: Level1/Level2}]\n"
    )
    (folder / "global-config.yaml").write_text(
        "homeRegion: &HOME ap-southeast-2\nenabledRegions: [*HOME]\nmanagementAccountAccessRole: LzaAccess\n"
    )
    return folder


def test_demo_of_a_landing_zone_accelerator_configuration_with_an_empty_home(tmp_path: Path, lza: Path) -> None:
    """Nothing else is in the environment: no file of the user helps to find Python's packages or the provider."""
    home = tmp_path / "home"
    home.mkdir()
    bare = {"PATH": os.environ["PATH"], "HOME": str(home)}
    process = start_demo(tmp_path, "--lza", str(lza), marker="demo-lza", environment=bare)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "Skipped 310000000003 Audit: Landing Zone Accelerator ignores the organizational unit Frozen." in output
    assert "2 targets: 2 applied" in output
    assert "2 targets: 2 no changes" in output
    assert left_over("demo-lza") == []


@pytest.mark.parametrize(
    ("number", "moment", "code"),
    [
        (signal.SIGKILL, "Starting an emulated organization", -signal.SIGKILL),
        (signal.SIGKILL, "Planning 2 targets", -signal.SIGKILL),
        (signal.SIGINT, "Planning 2 targets", 130),
        (signal.SIGTERM, "Starting an emulated organization", 130),
    ],
    ids=["killed-at-start", "killed-in-plan", "interrupted-in-plan", "terminated-at-start"],
)
def test_nothing_is_left_of_a_demo_that_is_stopped(
    tmp_path: Path, lza: Path, number: signal.Signals, moment: str, code: int
) -> None:
    marker = f"demo-{number.name}-{moment[:8]}"
    process = start_demo(tmp_path, "--lza", str(lza), marker=marker)
    read_until(process, moment)
    time.sleep(1.5)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == code
    assert wait_until_gone(marker, seconds=20) == []
