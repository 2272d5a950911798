"""Judge what mutmut found: the share of mutants that the tests killed, and the places of those that survived.

Usage: mutation.py [--at-least PERCENT] [--folder mutants]
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Exit codes of the tests of a mutant, as in mutmut's metadata: failed tests, time limits, crashes.
_KILLED = {1, 3, -24, 24, 36, 37, 152, 255, -11, -9}
_UNTESTED = {None, 2, 34}


def mutants(folder: Path) -> Iterator[tuple[str, int | None]]:
    """Yield every mutant with the exit code of its tests."""
    for path in sorted(folder.rglob("*.meta")):
        yield from json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"].items()


def judge(folder: Path, at_least: float) -> tuple[list[str], bool]:
    """Return the lines of the report, and whether enough mutants were killed."""
    counted: Counter[str] = Counter()
    survived: list[str] = []
    for name, code in mutants(folder):
        # A mutant without tests has survived, and so has one whose tests ended in a way that proves nothing.
        kind = "untested" if code in _UNTESTED else "killed" if code in _KILLED else "survived"
        counted[kind] += 1
        if kind == "survived":
            survived.append(name)
    tested = counted["killed"] + counted["survived"]
    if not tested:
        return [f"No mutant was tested: {folder} holds no results."], False
    share = 100 * counted["killed"] / tested
    lines = [f"survived: {name} (mutmut show {name})" for name in survived]
    untested = counted["untested"]
    lines.append(f"{counted['killed']} of {tested} mutants killed: {share:.1f} %; {untested} not tested yet.")
    return lines, share >= at_least and not counted["untested"]


def main() -> int:
    """Return 1 if fewer mutants than asked for were killed, or some were not tested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-least", type=float, default=85)
    parser.add_argument("--folder", type=Path, default=Path("mutants"))
    arguments = parser.parse_args()
    lines, good = judge(arguments.folder, arguments.at_least)
    print("\n".join(lines))  # noqa: T201
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
