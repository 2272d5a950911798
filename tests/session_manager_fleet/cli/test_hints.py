"""Commands in messages can be pasted, however the program was started."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from session_manager_fleet.cli import hints
from session_manager_fleet.reports import RUN

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def fresh_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "_call", hints._Call())
    monkeypatch.delenv(hints.CONFIG_VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("original", "arguments", "expected"),
    [
        (["python", "scripts/rollout.py", "plan", "--all"], ["scripts/rollout.py", "plan", "--all"], "apply RUN"),
        (["python", "-X", "dev", "a b/rollout.py", "plan"], ["a b/rollout.py", "plan"], "apply RUN"),
        (["python", "-m", "fleet", "plan"], ["/usr/lib/fleet/__main__.py", "plan"], "apply RUN"),
    ],
)
def test_the_words_that_started_an_interpreter_are_repeated(
    original: list[str], arguments: list[str], expected: str
) -> None:
    hints.remember_program(original, arguments)
    assert hints.command("apply", "RUN") == f"{shlex.join(original[: len(original) - len(arguments) + 1])} {expected}"


def test_an_installed_command_on_the_path_is_repeated_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "my tools" / "session-manager-fleet"
    installed.parent.mkdir()
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    hints.remember_program(["/venv/bin/python", str(installed), "plan"], [str(installed), "plan"])
    assert hints.command("plan") == f"'{installed}' plan"
    monkeypatch.setenv("PATH", str(installed.parent))
    hints.remember_program(["/venv/bin/python", str(installed), "plan"], [str(installed), "plan"])
    assert hints.command("plan") == "session-manager-fleet plan"


def test_files_that_are_not_the_default_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    hints.remember_files(Path("organization.yaml"), None)
    assert hints.command("plan", "--all") == "session-manager-fleet plan --all"
    hints.remember_files(Path("my org.yaml"), Path("accounts.json"))
    assert hints.command("plan") == "session-manager-fleet -c 'my org.yaml' --read-from accounts.json plan"
    # Without -c, the variable would name another file.
    monkeypatch.setenv(hints.CONFIG_VARIABLE, "other.yaml")
    hints.remember_files(Path("organization.yaml"), None)
    assert hints.command("plan") == "session-manager-fleet -c organization.yaml plan"


def test_a_run_outside_the_default_folder_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hints.on_run(tmp_path / "runs" / "R1").line("resume", RUN) == "session-manager-fleet resume R1"
    assert hints.on_run(tmp_path / "my runs" / "R1").line("apply", RUN, "--yes") == (
        "session-manager-fleet apply 'my runs/R1' --yes"
    )


@pytest.mark.parametrize(
    "start",
    [
        ["scripts/rollout.py"],
        ["-X", "dev", "scripts/rollout.py"],
        ["-c", "from session_manager_fleet.cli import main; main()"],
    ],
)
def test_the_printed_line_starts_the_same_program(start: list[str], tmp_path: Path) -> None:
    """Start the program in several ways, and run the line that `hints.command` makes there."""
    probe = tmp_path / "sitecustomize.py"
    probe.write_text(
        "import atexit, sys\n"
        "@atexit.register\n"
        "def _():\n"
        "    from session_manager_fleet.cli import hints\n"
        "    sys.stdout.write(hints.command('schema', '--of', 'summary'))\n"
    )
    library = f"{ROOT / 'scripts'}:{ROOT / 'lambda_src'}"
    first = subprocess.run(
        [sys.executable, *start, "schema", "--of", "nothing"],
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": f"{tmp_path}:{library}"},
        capture_output=True,
        text=True,
    )
    assert first.returncode == 64
    again = subprocess.run(  # noqa: S602 - the line is pasted into a shell
        first.stdout, check=False, shell=True, cwd=ROOT, env={"PYTHONPATH": library}, capture_output=True, text=True
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert '"schema_version"' in again.stdout
