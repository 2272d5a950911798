"""A planted defect of each kind makes its gate fail, and the gate names the place.

The other gates have such tests of their own: checkov (tests/checkov_checks), workflows (tests/workflows), version 6 of
the provider (test_provider_6.py), stale files (test_architecture.py, test_lambda_package.py, test_permissions.py,
test_terraform_docs.py), broken links (test_pages.py), releases (test_release.py).
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools import mutation

PROJECT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAMS / arguments[0]), *arguments[1:]], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ('"""A module."""\n\nimport os\n', "F401"),
        ('"""A module."""\n\nimport subprocess\n\nsubprocess.run("ls", shell=True)\n', "S602"),
        ('"""A module."""\n\nprint("hello")\n', "T201"),
    ],
)
def test_ruff_names_the_line(tmp_path: Path, code: str, rule: str) -> None:
    (tmp_path / "planted.py").write_text(code)
    config = f"--config={PROJECT / 'pyproject.toml'}"
    found = run("ruff", "check", config, "--output-format=concise", "--no-cache", "planted.py", folder=tmp_path)
    assert found.returncode == 1
    line = len(code.splitlines())
    assert f"planted.py:{line}:" in found.stdout
    assert rule in found.stdout


def test_mypy_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("def double(number: int) -> int:\n    return str(number)\n")
    found = run("mypy", "--strict", "--cache-dir=/dev/null", "--no-site-packages", "planted.py", folder=tmp_path)
    assert found.returncode == 1
    assert "planted.py:2: error" in found.stdout


def test_coverage_names_the_lines_that_no_test_reached(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(
        "def half(number):\n    if number:\n        return number / 2\n    return 0\n\n\nhalf(2)\n"
    )
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["coverage"]
    assert settings["report"]["fail_under"] >= 92
    assert settings["run"]["branch"] is True
    assert (
        not {"omit", "exclude_lines", "exclude_also", "partial_branches"}
        & (settings["run"] | settings["report"]).keys()
    )
    run("coverage", "run", "--branch", "planted.py", folder=tmp_path)
    found = run("coverage", "report", "--show-missing", "--fail-under=92", folder=tmp_path)
    assert found.returncode == 2
    assert "planted.py" in found.stdout
    assert "4" in found.stdout.splitlines()[2].split()[-1]
    assert "Coverage failure: total of" in found.stdout + found.stderr


def test_nothing_is_excluded_from_coverage() -> None:
    for folder in ("scripts/session_manager_fleet", "lambda_src/session_preferences"):
        for file in (PROJECT / folder).rglob("*.py"):
            assert "pragma: no cover" not in file.read_text(encoding="utf-8"), file


@pytest.mark.parametrize(
    ("codes", "good", "line"),
    [
        ([1] * 17 + [0] * 3, True, "17 of 20 mutants killed: 85.0 %; 0 not tested yet."),
        ([1] * 16 + [0] * 4, False, "16 of 20 mutants killed: 80.0 %; 0 not tested yet."),
        ([1, 36, -11, 33, 35], False, "3 of 5 mutants killed: 60.0 %; 0 not tested yet."),
        ([1, None], False, "1 of 1 mutants killed: 100.0 %; 1 not tested yet."),
    ],
)
def test_mutants_that_survive_are_named(tmp_path: Path, codes: list[int | None], good: bool, line: str) -> None:
    results = {f"package.module.x_function__mutmut_{number}": code for number, code in enumerate(codes)}
    (tmp_path / "module.py.meta").write_text(json.dumps({"exit_code_by_key": results}))
    lines, enough = mutation.judge(tmp_path, 85)
    assert (lines[-1], enough) == (line, good)
    survived = [name for name, code in results.items() if code in {0, 33, 35}]
    assert lines[:-1] == [f"survived: {name} (mutmut show {name})" for name in survived]


def test_no_results_are_no_success(tmp_path: Path) -> None:
    lines, enough = mutation.judge(tmp_path, 85)
    assert not enough
    assert "No mutant was tested" in lines[0]
