"""A planted defect of each kind makes its gate fail, and the gate names the place.

The other gates have such tests of their own: checkov (tests/checkov_checks), workflows (tests/workflows), version 6 of
the provider (test_provider_6.py), stale files (test_architecture.py, test_lambda_package.py, test_permissions.py,
test_terraform_docs.py), broken links (test_pages.py), releases (test_release.py).
"""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools import mutation

PROJECT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # `make coverage` measures its processes; what is measured here has files of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        [str(PROGRAMS / arguments[0]), *arguments[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
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


def mutants_of(package: str, codes: list[int | None]) -> list[mutation.Mutant]:
    file = Path("src") / package / "module.py"
    return [mutation.Mutant(f"module.x_function__mutmut_{number}", file, code) for number, code in enumerate(codes)]


@pytest.mark.parametrize(
    ("codes", "good", "line"),
    [
        ([1] * 17 + [0] * 3, True, "17 of 20 mutants killed: 85.0 %"),
        ([1] * 16 + [0] * 4, False, "16 of 20 mutants killed: 80.0 %"),
        ([1, 36, -11, 33, 35], False, "3 of 5 mutants killed: 60.0 %"),
        ([1, None], False, "1 of 1 mutants killed: 100.0 %; 1 not tested yet"),
        ([None], False, "0 of 0 mutants killed: 0.0 %; 1 not tested yet"),
    ],
)
def test_enough_mutants_are_killed_in_each_package(codes: list[int | None], good: bool, line: str) -> None:
    all_killed = mutants_of("one", [1] * 100)

    assert mutation.judge(all_killed + mutants_of("other/part", codes), 85) == (
        ["one: 100 of 100 mutants killed: 100.0 %", f"other/part: {line}"],
        good,
    )


def test_no_results_are_no_success() -> None:
    assert mutation.judge([], 85) == (["No mutant was made."], False)


def test_a_sample_is_the_same_each_time_and_part_of_a_larger_one() -> None:
    found = mutants_of("one", [1] * 100)
    ten, twenty = (mutation.chosen(found, [], number) for number in (10, 20))

    assert ten == mutation.chosen(list(reversed(found)), [], 10) == twenty[:10]
    assert mutation.chosen(found, ["module.*_9"], None) == [found[9]]


SAMPLE = """\
class Part:
    \"\"\"Of something.\"\"\"

    def half(self, number):
        if number > 10:
            return 10
        return number / 2


# A comment between.
def double(number):
    return number * 2
"""


def test_a_mutant_that_survives_is_named_with_file_and_line(tmp_path: Path) -> None:
    """mutmut itself, in a project of two functions, whose test lets one line go."""
    package = tmp_path / "src" / "session_preferences"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "planted.py").write_text(SAMPLE, encoding="utf-8")
    (tmp_path / "tests").mkdir()
    test = "from session_preferences.planted import Part, double\n\n\ndef test_it():\n"
    test += "    assert (Part().half(4), double(3)) == (2, 6)\n"
    (tmp_path / "tests" / "test_planted.py").write_text(test, encoding="utf-8")
    settings = {"source_paths": ["src"], "pytest_add_cli_args_test_selection": ["tests"]}
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (tmp_path / "pyproject.toml").write_text("\n".join(["[tool.mutmut]", *lines]), encoding="utf-8")

    mutation.run(tmp_path)

    found = mutation.mutants(tmp_path)
    lines, good = mutation.judge(found, 85)
    assert not good
    assert "session_preferences: " in lines[0]
    places = sorted(mutation.survivors(tmp_path, found))
    where = "lambda_src/session_preferences/planted.py"
    assert (
        f"{where}:6: survived: return 10 -> return 11 (session_preferences.planted.xǁPartǁhalf__mutmut_"
        in "\n".join(places)
    )
    assert {line.split(" ")[0] for line in places} == {f"{where}:5:", f"{where}:6:"}


def test_when_a_test_changes_survivors_are_tested_again(tmp_path: Path) -> None:
    repository, copy = tmp_path / "repository", tmp_path / "copy"
    for name in (
        *("lambda_src/session_preferences/a.py", "scripts/session_manager_fleet/a.py", "tools/a.py", "pyproject.toml"),
        *("tests/any_machine.py", "tests/session_preferences/test_a.py", "tests/session_manager_fleet/conftest.py"),
        *("tests/session_manager_fleet/changes/test_a.py", "modules/preferences/lambda.zip"),
    ):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).touch()
    verdicts = copy / "mutants" / "src" / "session_preferences" / "a.py.meta"

    def after(codes: dict[str, int | None]) -> dict[str, int | None]:
        verdicts.parent.mkdir(parents=True, exist_ok=True)
        verdicts.write_text(json.dumps({"exit_code_by_key": codes}), encoding="utf-8")
        mutation.prepare(copy, repository)
        return {mutant.name: mutant.code for mutant in mutation.mutants(copy)}

    mutation.prepare(copy, repository)
    codes: dict[str, int | None] = {"killed": 1, "survived": 0, "slow": 36, "untested": None}
    assert after(codes) == codes
    (repository / "tests/session_preferences/test_a.py").write_text("# more", encoding="utf-8")
    assert after(codes) == {**codes, "survived": None}
    (repository / "tests/session_preferences/test_a.py").unlink()
    assert after(codes) == {**codes, "survived": None}
    assert not (copy / "tests/session_preferences/test_a.py").exists()
