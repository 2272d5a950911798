"""A copy of the project as a clone has it, and the organization that the command `sandbox` keeps for it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def copy_project(destination: Path) -> Path:
    """Copy what git tracks, and what it would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (PROJECT / name).is_file():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, destination / name)
    return destination


@contextmanager
def running_sandbox(program: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run the command `sandbox`; yield the file that it says to source."""
    with subprocess.Popen(
        [*program, "sandbox"], cwd=folder, stdout=subprocess.PIPE, text=True, env=dict(environment)
    ) as process:
        assert process.stdout is not None
        file = next((match[1] for line in process.stdout if (match := re.search(r"source (\S+)", line))), None)
        assert file is not None, "The sandbox did not say what to source."
        yield file
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        process.wait(timeout=60)
    assert process.returncode == 130
    assert not (folder / file).exists()
