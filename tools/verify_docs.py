#!/usr/bin/env python3
"""Write the tables of docs/verify.md, one line for every check and for every promise, from what the checks declare."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from session_manager_fleet.verify import CHECKS, PROMISES, UNSEEN, CheckInfo  # noqa: E402

PAGE = REPOSITORY / "docs" / "verify.md"


def checks() -> str:
    """Return what each check judges, where, and how much a finding matters."""
    rows = [[f"`{one.id}`", one.severity.value, one.what, one.where] for one in _infos()]
    return _table(["check", "severity", "what it checks", "where"], rows)


def cures() -> str:
    """Return why each check matters, how its findings are corrected, and what shows them."""
    rows = [[f"`{one.id}`", one.why, one.fix, one.evidence, ", ".join(one.controls)] for one in _infos()]
    return _table(["check", "why it matters", "how to fix a finding", "evidence", "controls"], rows)


def promises() -> str:
    """Return the checks that stand for each promise."""
    rows = [[one.text, ", ".join(f"`{check}`" for check in one.checks)] for one in PROMISES]
    return _table(["promise", "checks"], rows)


def needs() -> str:
    """Return the actions that each check needs."""
    rows = [[f"`{one.id}`", ", ".join(f"`{action}`" for action in one.actions)] for one in _infos()]
    return _table(["check", "actions"], rows)


def unseen() -> str:
    """Return the attributes that only a plan compares."""
    rows = [[f"`{kind}`", ", ".join(f"`{name}`" for name in names)] for kind, names in sorted(UNSEEN.items())]
    return _table(["resource", "attributes"], rows)


def page(text: str) -> str:
    """Return the page with its tables renewed."""
    tables = {"CHECKS": checks(), "CURES": cures(), "PROMISES": promises(), "NEEDS": needs(), "UNSEEN": unseen()}
    for name, table in tables.items():
        begin, end = f"<!-- BEGIN_{name} -->", f"<!-- END_{name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


def _infos() -> list[CheckInfo]:
    return [check.info for check in CHECKS]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def main() -> int:
    """Write or check the page; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the page is stale")
    check = parser.parse_args().check
    text = PAGE.read_text(encoding="utf-8")
    if (renewed := page(text)) == text:
        return 0
    if check:
        sys.stderr.write("docs/verify.md is stale, run `make docs`\n")
        return 1
    PAGE.write_text(renewed, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
