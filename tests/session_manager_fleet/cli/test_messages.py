"""What a command says last, at its question, and in narrow terminals; and options that work wherever they are typed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from rich.console import Console

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.cli import hints
from session_manager_fleet.reports import terminal
from session_manager_fleet.targets import SkippedAccount, Target
from tests.session_manager_fleet.cli.conftest import Command, last_run, trace
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def fresh_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "_call", hints._Call())
    monkeypatch.delenv(hints.CONFIG_VARIABLE, raising=False)


def next_command(printed: str) -> list[str]:
    """Return the words of the command on the last line, without the program."""
    program, *words = shlex.split(printed.splitlines()[-1].rpartition(": ")[2])
    assert program == "session-manager-fleet"
    return words


def test_what_comes_next_is_the_last_line_and_works(command: Command, ready: Path) -> None:
    planned = command("plan", "--all")
    run, _ = last_run(ready)
    assert next_command(planned.out) == ["apply", run.name]

    (ready / "fail-apply-222233334444").touch()
    failed = command(*next_command(planned.out))
    assert failed.code == 1
    assert next_command(failed.out) == ["resume", run.name]

    (ready / "fail-apply-222233334444").unlink()
    resumed = command(*next_command(failed.out), "--yes")
    assert resumed.code == 0
    assert next_command(resumed.out)[0] == "verify"


def test_a_run_in_another_folder_is_continued_with_the_same_file(command: Command, ready: Path) -> None:
    (ready / "organization.yaml").rename(ready / "my org.yaml")

    planned = command("plan", "--account", "Dev", "-c", "my org.yaml", "--runs", "my runs")

    assert planned.code == 2
    words = next_command(planned.out)
    assert words[:3] == ["-c", "my org.yaml", "apply"]
    assert command(*words).code == 0
    assert len(trace(ready, "apply")) == 2


@pytest.mark.parametrize("answer", [False, None])
def test_a_question_repeats_counts_and_a_no_applies_nothing(
    command: Command,
    ready: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: bool | None,
) -> None:
    def confirm(question: str) -> bool:
        assert question == "Apply to 2 targets?"
        if answer is None:
            raise typer.Abort
        return answer

    monkeypatch.setattr(typer, "confirm", confirm)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    outcome = command("apply", "--account", "Dev")

    assert "2 to create, in 2 targets.\n" in outcome.out
    assert "Nothing was applied." in outcome.out
    assert next_command(outcome.out)[0] in {"apply", "resume"}
    assert trace(ready, "apply") == []


def test_the_file_can_be_named_after_the_command_and_by_a_variable(
    command: Command,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (project / "organization.yaml").rename(project / "mine.yaml")

    assert command("targets", "-c", "mine.yaml").code == 0
    assert command("-c", "absent.yaml", "targets", "--config", "mine.yaml").code == 0
    assert command("targets").code == 64
    monkeypatch.setenv(hints.CONFIG_VARIABLE, "mine.yaml")
    listed = command("targets")
    assert (listed.code, "6 targets" in listed.out) == (0, True)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_flags_take_no_value_in_the_help(command: Command, option: str) -> None:
    shown = command("plan", option)

    assert shown.code == 0
    assert "<bool>" not in shown.out
    assert shown.out.count("repeated") >= 4


@pytest.mark.usefixtures("project")
def test_only_what_the_file_sets_is_explained(command: Command) -> None:
    everything = json.loads(command("explain", "Dev", "eu-west-1", "--format", "json").out)["targets"][0]["values"]
    changed = json.loads(command("explain", "Dev", "eu-west-1", "--changed", "--format", "json").out)["targets"][0]

    assert {value["layer"] for value in changed["values"]} == {"organization"}
    assert len(changed["values"]) < 5 < len(everything)


def test_exceptions_are_selected_and_written_as_csv(command: Command, project: Path) -> None:
    none, following = command("exceptions").out.splitlines()
    assert none == "There are no exceptions."
    assert next_command(following) == ["targets", "--all"]
    with (project / "organization.yaml").open("a") as file:
        file.write("exceptions: [{match: {accounts: [Dev]}, owner: dev, reason: r, expires: 2099-01-01}]\n")

    [row] = csv.DictReader(io.StringIO(command("exceptions", "--format", "csv").out))

    assert (row["owner"], row["expires"], row["expired"]) == ("dev", "2099-01-01", "false")
    assert row["targets"] == "222233334444/eu-west-1 222233334444/us-east-1"
    assert "1 exception, 0 expired" in command("exceptions", "--account", "Dev").out
    assert command("exceptions", "--account", "Payments").out.startswith("There are no exceptions.\n")


def test_ids_are_whole_in_eighty_columns() -> None:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    account = Account("158346729082", "An account with a long name", ou="Workloads/Production/Payments")
    terminal.print_targets(console, [Target(account, "ap-southeast-1", "ap-southeast-1", "production")])

    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "158346729082" in printed
    assert "ap-southeast-1 (home)" in printed
    assert "…" not in printed


def test_skipped_accounts_take_one_line_for_each_reason() -> None:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    terminal.print_skipped(console, [SkippedAccount(f"{n:012}", f"Old{n}", "the account is suspended") for n in (1, 2)])

    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "Skipped 2 accounts (the account is suspended): Old1, Old2.\n"


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("apply", "--account", "Dev"), "Use --yes, or plan and then apply RUN."),
        (("destroy", "--account", "Dev"), "Use --yes and --allow-destroy."),
        (("destroy", "--account", "Dev", "--yes"), "add --allow-destroy."),
    ],
)
def test_without_a_terminal_one_try_is_enough(command: Command, words: Sequence[str], advice: str) -> None:
    refused = command(*words)
    assert (refused.code, advice in refused.err) == (64, True), refused.err

    following = shlex.split(refused.err.splitlines()[-1].rpartition(": ")[2])[1:]

    assert command(*following).code == 0


def test_one_thing_is_singular_everywhere(command: Command, ready: Path) -> None:
    with (ready / "organization.yaml").open("a") as file:
        file.write("exceptions: [{match: {accounts: [Dev]}, owner: dev, reason: r, expires: 2099-01-01}]\n")
    one = ("--account", "Dev", "--region", "eu-west-1")

    shown = [command(*words, *one) for words in (["targets"], ["plan"], ["exceptions"])]
    shown.append(command("apply", *one, "--yes"))
    shown.append(command("destroy", *one, "--yes", "--allow-destroy"))

    for outcome in shown:
        assert re.search(r"\b1 (?!changes\b)\w+s\b", outcome.out + outcome.err) is None, outcome
    assert "1 target" in shown[0].out


def test_an_interrupt_by_timeout_is_one_interrupt(command: Command, ready: Path) -> None:
    """GNU timeout signals the process, and at once its process group, so that the process gets it twice."""
    hold = ready / "hold"
    hold.touch()

    def interrupt() -> None:
        wait_for(lambda: bool(trace(ready, "plan")))
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        hold.unlink()

    thread = threading.Thread(target=interrupt)
    thread.start()
    outcome = command("plan", "--all", "--workers", "1")
    thread.join()

    assert outcome.code == 130
    _, summary = last_run(ready)
    assert (summary["totals"]["changes"], summary["totals"]["failed"]) == (1, 0), outcome.out


def test_accounts_with_one_name_are_told_apart(command: Command, project: Path) -> None:
    accounts = project / "accounts.yaml"
    accounts.write_text(accounts.read_text() + "  - {id: 444455556666, name: Dev, ou: Sandbox}\n")

    listed, explained = command("targets", "--account", "Dev"), command("explain", "Dev")

    assert "222233334444" in listed.out
    assert "444455556666" in listed.out
    assert "444455556666 (Sandbox); give the id" in explained.err
