"""Test the tests with mutmut: change the code in many small ways, and count the changes that make a test fail.

mutmut wants a project with its packages in `src`. This one has them in two folders and tests the function from its
package, so that a flat copy is made in FOLDER. The copy keeps the verdicts: a run that was stopped goes on.

Usage: mutation.py [--folder FOLDER] [--at-least PERCENT] [--sample NUMBER] [--report] [PATTERN...]
"""

import argparse
import ast
import fnmatch
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import dropwhile, zip_longest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / "build" / "mutation"

_SOURCES = ("lambda_src/session_preferences", "scripts/session_manager_fleet")
_TESTS = (
    "tests/any_machine.py",
    "tests/session_preferences",
    "tests/session_manager_fleet/conftest.py",
    "tests/session_manager_fleet/changes",
)
_REST = ("pyproject.toml", "tools", "modules/preferences/lambda.zip")
# In the place of tests/conftest.py, which sorts the whole suite. What is quick comes first: most mutants die of it.
_CONFTEST = '''\
"""Few examples, the same ones for each mutant; quick tests first."""

from tests import any_machine

any_machine.load()
_LAST = ("test_handler.py", "test_reconciler.py", "test_order_of_events.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: (hasattr(item.obj, "hypothesis"), item.path.name in _LAST, item.path.name))
'''

# Exit codes of the tests of a mutant, as in mutmut's metadata: failed tests, time limits, crashes.
_KILLED = {1, 3, -24, 24, 36, 152, 255, -11, -9}
_UNTESTED = {None, 2, 34}


@dataclass(frozen=True)
class Mutant:
    """One changed copy of a function, and the exit code of its tests."""

    name: str
    file: Path
    code: int | None

    @property
    def verdict(self) -> str:
        """Return `killed`, `survived` or `untested`; without tests, or when they prove nothing, it has survived."""
        return "untested" if self.code in _UNTESTED else "killed" if self.code in _KILLED else "survived"


def prepare(folder: Path, repository: Path = REPOSITORY) -> None:
    """Make or renew the flat copy; when a test has changed, the mutants that survived are tested again."""
    for source in _SOURCES:
        _copy(repository / source, folder / "src" / Path(source).name)
    changed = [_copy(repository / test, folder / test) for test in _TESTS]
    for other in _REST:
        _copy(repository / other, folder / other)
    (folder / "tests" / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    if any(changed):
        _forget_survivors(folder)


def _copy(source: Path, target: Path) -> bool:
    """Copy a file or the Python files of a folder, with their times; return whether anything was different."""
    files = {file.relative_to(source): file for file in source.rglob("*.py")} if source.is_dir() else {Path(): source}
    old = {file.relative_to(target) for file in target.rglob("*.py")} if target.is_dir() else set()
    for name in old - files.keys():
        (target / name).unlink()
    different = bool(old - files.keys())
    for name, file in files.items():
        to = target / name
        if to.is_file() and to.read_bytes() == file.read_bytes():
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
        different = True
    return different


def _forget_survivors(folder: Path) -> None:
    for path in (folder / "mutants").rglob("*.meta"):
        data = json.loads(path.read_text(encoding="utf-8"))
        codes = data["exit_code_by_key"]
        data["exit_code_by_key"] = {name: code if code in _KILLED else None for name, code in codes.items()}
        path.write_text(json.dumps(data), encoding="utf-8")


def mutants(folder: Path) -> list[Mutant]:
    """Return all mutants that were made, with what is known of them."""
    made = folder / "mutants"
    return [
        Mutant(name, path.relative_to(made).with_suffix(""), code)
        for path in sorted(made.rglob("*.meta"))
        for name, code in json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"].items()
    ]


def chosen(all_of_them: Sequence[Mutant], patterns: Sequence[str], sample: int | None) -> list[Mutant]:
    """Return the mutants whose names match, or SAMPLE of them: always the same ones, which are spread evenly."""
    matching = [
        mutant
        for mutant in all_of_them
        if not patterns or any(fnmatch.fnmatchcase(mutant.name, pattern) for pattern in patterns)
    ]
    return sorted(matching, key=lambda mutant: hashlib.sha256(mutant.name.encode()).digest())[:sample]


def make(folder: Path) -> None:
    """Make the mutants and find which tests reach them.

    Raises:
        RuntimeError: the tests fail without any mutant, or mutmut could not work.
    """
    # mutmut has no command for it: asked for a name that no mutant has, it stops behind this.
    done = _mutmut(folder, ["none"], stderr=subprocess.PIPE)
    if "nothing matches" not in done.stderr:
        raise RuntimeError(f"mutmut could not make the mutants: its output is above.\n{done.stderr}")


def run(folder: Path, names: Sequence[str] = ()) -> None:
    """Test the named mutants; without names, all that were not tested yet.

    Raises:
        RuntimeError: the tests fail without any mutant, or mutmut could not work.
    """
    if (done := _mutmut(folder, names)).returncode:
        raise RuntimeError(f"mutmut failed with exit code {done.returncode}: its output is above.")


def _mutmut(folder: Path, names: Sequence[str], stderr: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("mutmut")), "run", *names]
    if processes := os.environ.get("MUTATION_PROCESSES"):
        command[2:2] = ["--max-children", processes]
    environment = {**os.environ, "MEASURE_FUNCTION_SOURCES": "1"}
    return subprocess.run(command, cwd=folder, env=environment, stderr=stderr, text=True, check=False)


def place(folder: Path, mutant: Mutant) -> tuple[int, str, str]:
    """Return the line of a mutant in its file, what is written there, and what the mutant has instead."""
    key, _, number = mutant.name.rpartition(".")[2].partition("__mutmut_")
    owner, function = key.split("ǁ")[1:] if "ǁ" in key else ("", key.removeprefix("x_"))
    made = _Made.read(folder / "mutants" / mutant.file)
    original, mutated = made.function(f"{key}__mutmut_orig"), made.function(f"{key}__mutmut_{number}")
    pairs = enumerate(zip_longest(original, mutated, fillvalue=""))
    changed, (was, now) = next((index, pair) for index, pair in pairs if pair[0] != pair[1])
    return _functions(folder / mutant.file)[owner, function] + changed, was.strip(), now.strip()


@dataclass(frozen=True)
class _Made:
    """A file that mutmut made: the original of each function and its mutants, and where each is."""

    lines: list[str]
    spans: dict[str, list[int]]

    @classmethod
    @cache
    def read(cls, file: Path) -> "_Made":
        index = json.loads(file.with_name(f"{file.name}.spans").read_text(encoding="utf-8"))
        return cls(file.read_text(encoding="utf-8").splitlines(), index["spans"])

    def function(self, name: str) -> list[str]:
        """Return the lines of a function from its `def` on, without its name."""
        start, end = self.spans[name]
        lines = self.lines[start - 1 : end]
        return [line.replace(name, "", 1) for line in dropwhile(lambda line: f"def {name}" not in line, lines)]


@cache
def _functions(file: Path) -> dict[tuple[str, str], int]:
    """Return the first lines of the functions of a module and of the methods of its classes."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    owners = [("", module.body), *((node.name, node.body) for node in module.body if isinstance(node, ast.ClassDef))]
    return {
        (owner, node.name): node.lineno for owner, body in owners for node in body if isinstance(node, ast.FunctionDef)
    }


def _package(mutant: Mutant) -> str:
    parts = mutant.file.parent.parts
    return "/".join(parts[1:]) if parts[0] == "src" else "/".join(parts)


def judge(found: Sequence[Mutant], at_least: float) -> tuple[list[str], bool]:
    """Return a line for each package, and whether enough mutants were killed in each and none is untested."""
    counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for mutant in found:
        counted[_package(mutant)][mutant.verdict] += 1
    lines, good = [], bool(found)
    for package, verdicts in sorted(counted.items()):
        killed, tested = verdicts["killed"], verdicts["killed"] + verdicts["survived"]
        share = 100 * killed / tested if tested else 0.0
        good &= share >= at_least and not verdicts["untested"]
        rest = f"; {verdicts['untested']} not tested yet" if verdicts["untested"] else ""
        lines.append(f"{package}: {killed} of {tested} mutants killed: {share:.1f} %{rest}")
    return lines or ["No mutant was made."], good


def survivors(folder: Path, found: Sequence[Mutant]) -> Iterator[str]:
    """Yield file, line, and what may be changed there without any test that fails."""
    originals = {Path("src") / Path(source).name: source for source in _SOURCES}
    for mutant in found:
        if mutant.verdict != "survived":
            continue
        line, removed, added = place(folder, mutant)
        file = mutant.file.as_posix()
        for copied, original in originals.items():
            file = file.replace(f"{copied.as_posix()}/", f"{original}/", 1)
        yield f"{file}:{line}: survived: {removed or 'nothing'} -> {added or 'nothing'} ({mutant.name})"


def main() -> int:
    """Return 1 if fewer mutants of a package than asked for were killed, or some were not tested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-least", type=float, default=85, metavar="PERCENT")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--sample", type=int, metavar="NUMBER", help="test so many, the same ones each time")
    parser.add_argument("--report", action="store_true", help="test nothing, report what is known")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="names of mutants: session_preferences.aws.*")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    some = arguments.patterns, arguments.sample
    if not arguments.report:
        prepare(folder)
        if some == ([], None):
            run(folder)
        else:
            make(folder)
            if names := [mutant.name for mutant in chosen(mutants(folder), *some) if mutant.verdict == "untested"]:
                run(folder, names)
    found = chosen(mutants(folder), *some)
    lines, good = judge(found, arguments.at_least)
    print("\n".join([*sorted(survivors(folder, found)), *lines]))  # noqa: T201
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
