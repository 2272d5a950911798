"""AWS's Guard engine, which evaluates the policies of custom Config rules: as a library, or as the cfn-guard binary.

The library `cfn-guard-rs` has no wheels for Python 3.13 and later, nor for 3.12 on macOS. There, and wherever it is
missing, the binary evaluates: beside the Python interpreter (`make` puts it there), or on the PATH. Both are AWS's
cloudformation-guard 3 and return the same statuses.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

PROGRAM = "cfn-guard"
GUARD_MISSING = (
    f"no Guard engine is installed: the library cfn-guard-rs has no wheel for this Python "
    f"({sys.version_info.major}.{sys.version_info.minor} on {sys.platform}), and there is no {PROGRAM} on the PATH. "
    "Run `make demo`, which installs it, or put AWS's binary on the PATH: "
    "https://github.com/aws-cloudformation/cloudformation-guard"
)

_LIBRARY = "cfn_guard_rs"
_SECONDS = 60.0
# The binary's exit codes for a report: everything passes or is skipped; at least one rule fails.
_REPORTED = frozenset({0, 19})


class GuardError(Exception):
    """A policy is not valid, or the engine fails."""


class GuardEngine(Protocol):
    """Evaluates a policy."""

    def evaluate(self, item: Mapping[str, Any], policy: str) -> str:
        """Return the status of a policy for a configuration item: `PASS`, `FAIL` or `SKIP`.

        Raises:
            GuardError: The policy is not valid, or the engine fails.
        """
        ...


class GuardLibrary:
    """The engine in this process."""

    def evaluate(self, item: Mapping[str, Any], policy: str) -> str:
        """Return the status of a policy for a configuration item."""
        from cfn_guard_rs.api import run_checks  # noqa: PLC0415 - not installed everywhere
        from cfn_guard_rs.errors import GuardError as LibraryError  # noqa: PLC0415

        try:
            return str(run_checks(dict(item), policy).status)
        except LibraryError as error:
            raise GuardError(str(error)) from error


class GuardBinary:
    """The engine as a program, started for each evaluation.

    Args:
        program: Path of cfn-guard.
    """

    def __init__(self, program: str) -> None:
        self._program = program

    def evaluate(self, item: Mapping[str, Any], policy: str) -> str:
        """Return the status of a policy for a configuration item."""
        options = ["--payload", "--structured", "--output-format", "json", "--show-summary", "none"]
        try:
            done = subprocess.run(
                [self._program, "validate", *options],
                input=json.dumps({"rules": [policy], "data": [json.dumps(item)]}),
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GuardError(f"{self._program} fails: {error}") from error
        if done.returncode not in _REPORTED:
            message = done.stderr.strip().removesuffix("---").strip()
            raise GuardError(message or f"{self._program} ends with exit code {done.returncode}.")
        return str(json.loads(done.stdout)[0]["status"])


@cache
def find_guard_engine() -> GuardEngine | None:
    """Return the engine of this machine, the library before the binary; None if it has neither."""
    if importlib.util.find_spec(_LIBRARY) is not None:
        return GuardLibrary()
    program = shutil.which(PROGRAM, path=str(Path(sys.executable).parent)) or shutil.which(PROGRAM)
    return GuardBinary(program) if program else None
