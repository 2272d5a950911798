"""Every command ends with the line to type next, and each of these lines works as it is printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import typer

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.app import app
from session_manager_fleet.cli.commands import render
from session_manager_fleet.targets import Target
from session_manager_fleet.verify import TargetVerification, Verifier, account_prerequisites
from session_manager_fleet.verify.model import Check, finding, ok
from tests.session_manager_fleet.cli.conftest import Command, Outcome, last_run

DEV = ["--account", "Dev"]
DEV_HOME = ["--account", "222233334444", "--region", "eu-west-1"]
# They keep an emulated organization running; tests/e2e executes what they print.
EMULATED = {"demo", "sandbox"}
# It prints one JSON document, for an editor.
DATA = {"schema"}
# What a command may return that has done what it was asked to.
WELL = {0, 2}


@pytest.fixture(autouse=True)
def fresh_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "_call", hints._Call())
    monkeypatch.delenv(hints.CONFIG_VARIABLE, raising=False)
    # moto answers neither for nodes nor for all that may exist; tests/e2e/test_doctor.py asks the emulator.
    monkeypatch.setattr(account_prerequisites, "nodes", lambda *_: ok("nodes", "There are none."))
    monkeypatch.setattr(account_prerequisites, "find_beforehand", lambda *_: ([], [], []))


def following(outcome: Outcome) -> list[str]:
    """Return the words of the last line's command, without the program."""
    lines = (outcome.out if outcome.out.rpartition("\nNext")[1] else outcome.err).splitlines()
    line = re.fullmatch(r"Next(?:, [a-z][^:]+)?: (.+)", lines[-1])
    assert line, outcome
    program, *words = shlex.split(line[1])
    assert program == "session-manager-fleet"
    return words


Before = Callable[[Command, Path], Sequence[str]]


def _run_of(*words: str) -> Before:
    """Plan, and return a command on this run."""

    def before(command: Command, project: Path) -> Sequence[str]:
        command("plan", *DEV)
        return [word.replace("RUN", last_run(project)[0].name) for word in words]

    return before


def _shards(command: Command, project: Path) -> Sequence[str]:
    for shard in ("1/2", "2/2"):
        command("plan", "--all", "--shard", shard, "--runs", f"shards/{shard[0]}")
    return ["merge", *map(str, project.glob("shards/*/2*"))]


def _just(*words: str) -> Before:
    return lambda _command, _project: words


COMMANDS: dict[str, Before] = {
    "init": _just("init", "--region", "eu-west-1", "--role", "Admin", "--output", "my new.yaml"),
    "doctor": _just("doctor", *DEV),
    "discover": _just("discover"),
    "discover to a file": _just("discover", "--output", "my accounts.json"),
    "targets": _just("targets", "--ou", "Workloads/**"),
    "explain": _just("explain", "Dev", "us-east-1"),
    "explain a skipped account": _just("explain", "Old"),
    "exceptions": _just("exceptions"),
    "render": _just("render", *DEV, "--output", "my files"),
    "render --check": _just("render", *DEV, "--check"),
    "plan": _just("plan", *DEV, "--runs", "my runs"),
    "plan --quiet": _just("plan", *DEV, "--quiet"),
    "apply": _just("apply", *DEV, "--yes"),
    "apply RUN": _run_of("apply", "RUN"),
    "resume": _run_of("resume", "RUN"),
    "destroy": _just("destroy", *DEV, "--yes", "--allow-destroy"),
    "merge": _shards,
    "report": _run_of("report", "RUN"),
    "report to a file": _run_of("report", "RUN", "--format", "markdown", "--output", "my report.md"),
    "states": _just("states"),
    "unlock": _just("unlock", *DEV),
}


def test_all_commands_are_tried() -> None:
    names = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert names == {name.split()[0] for name in COMMANDS} | EMULATED | DATA | {"verify", "sessions"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_after_a_command_works(command: Command, ready: Path, name: str) -> None:
    outcome = command(*COMMANDS[name](command, ready))
    assert outcome.code in WELL or name in {"verify", "doctor"}, outcome
    words = following(outcome)

    if words[0] == "apply" and "RUN" not in name:
        words.append("--yes")
    after = command(*words)

    assert after.code in WELL or words[0] in {"verify", "doctor"}, after
    assert "No such" not in after.err


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (finding("preferences", "The document is missing."), ["apply", *DEV_HOME]),
        (
            finding("bucket_policy", "It lacks a statement.", "Apply.", ("apply", "--account", "9")),
            ["apply", "--account", "9"],
        ),
        (finding("recorder", "It is stopped.", "Start it."), ["verify", *DEV]),
        (ok("preferences", "As configured."), ["verify", *DEV]),
    ],
)
@pytest.mark.usefixtures("ready")
def test_the_line_after_verify_repairs_or_checks_again(
    command: Command, monkeypatch: pytest.MonkeyPatch, check: Check, expected: list[str]
) -> None:
    def verify(
        _: object, targets: Sequence[Target], *_arguments: object, **_options: object
    ) -> list[TargetVerification]:
        return [TargetVerification(targets[0], (check,))]

    monkeypatch.setattr(Verifier, "verify", verify)

    outcome = command("verify", *DEV)

    assert following(outcome) == expected
    if expected[0] == "apply":
        assert shlex.join(["session-manager-fleet", *expected]) in outcome.out.rpartition("Next")[0].replace("\n", " ")


# --- After failures ------------------------------------------------------------------------------------------------

Cure = Callable[[Path], object]


def _edit(file: str, old: str, new: str) -> Cure:
    def edit(project: Path) -> None:
        path = project / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return edit


FAILURES: dict[str, tuple[list[str], Cure, Cure]] = {
    "no selection": (["plan"], lambda _: None, lambda _: None),
    "a key that is no key": (
        ["targets", *DEV],
        _edit("organization.yaml", "waves:", "wave:"),
        _edit("organization.yaml", "wave:", "waves:"),
    ),
    "a folder that is a file": (
        ["render", *DEV, "--output", "taken"],
        lambda project: (project / "taken").touch(),
        lambda project: (project / "taken").unlink(),
    ),
    "an option that is no option": (["plan", "--everything"], lambda _: None, lambda _: None),
    "an option with a wrong value": (["plan", *DEV, "--workers", "many"], lambda _: None, lambda _: None),
    "a command that is no command": (["plain"], lambda _: None, lambda _: None),
    "a run that is no run": (["apply", "R1"], lambda _: None, lambda _: None),
    "an account that is no account": (["explain", "Nobody"], lambda _: None, lambda _: None),
    "a selection that matches nothing": (["plan", "--ou", "Workloads"], lambda _: None, lambda _: None),
    "a unit that is no unit": (["verify", "--ou", "Workload"], lambda _: None, lambda _: None),
    "no terminal": (["apply", *DEV], lambda _: None, lambda _: None),
    "no terminal for a destruction": (["destroy", *DEV], lambda _: None, lambda _: None),
    "a destruction that may not delete keys": (["destroy", *DEV, "--yes"], lambda _: None, lambda _: None),
    "a failed target": (
        ["plan", *DEV],
        lambda project: (project / "fail-plan-222233334444").touch(),
        lambda project: (project / "fail-plan-222233334444").unlink(),
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_the_line_after_a_failure_works_once_it_is_corrected(command: Command, ready: Path, name: str) -> None:
    words, cause, cure = FAILURES[name]
    cause(ready)
    outcome = command(*words)
    assert outcome.code in {1, 64}, outcome

    cure(ready)
    after = command(*following(outcome))

    assert after.code in WELL, after


def test_settings_that_have_changed_since_a_plan_lead_to_another_plan(command: Command, ready: Path) -> None:
    command("plan", *DEV)
    run, _ = last_run(ready)
    (ready / "fail-apply-222233334444").touch()
    command("apply", run.name)
    _edit("organization.yaml", "canary", "first")(ready)

    refused = command("resume", run.name, "--yes")

    assert refused.code == 64
    assert following(refused)[:3] == ["plan", *DEV]
    assert command(*following(refused)).code == 2


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("answer", [False, None], ids=["n", "Ctrl-C"])
def test_the_line_after_a_no_works(command: Command, monkeypatch: pytest.MonkeyPatch, answer: bool | None) -> None:
    def confirm(_question: str) -> bool:
        if answer is None:
            raise typer.Abort
        return answer

    monkeypatch.setattr(typer, "confirm", confirm)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    outcome = command("apply", *DEV)
    assert "Nothing was applied." in outcome.out

    assert command(*following(outcome)).code == 0


def test_the_line_after_an_interruption_starts_the_same_again(
    command: Command, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(render, "render_files", interrupted)
        outcome = command("render", *DEV, "--output", "my files")
    assert outcome.code == 130

    assert command(*following(outcome)).code == 0
    assert list((ready / "my files").rglob("*.tfvars"))
