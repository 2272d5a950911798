"""What a person sees, whatever names and errors hold."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fleet.audit import LivePreferences
from fleet.journal import Failure, Status, Step, TargetResult
from fleet.organization import Account
from fleet.plans import ChangeGroup, ChangeSet, ResourceChange
from fleet.reports import terminal
from fleet.targets import SkippedAccount, Target
from fleet.terraform import PlanOutcome

HOME = "eu-west-1"
HOSTILE = ["[/bold]", "[red]Prod", "a\\", "[link=https://example.com]x[/link]", ":warning:", "[", "é 日本", "[/]"]


@pytest.fixture
def console() -> Console:
    console = terminal.make_console()
    console.file = io.StringIO()
    console.width = 200
    return console


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def target(name: str = "Payments", region: str = HOME, ou: str = "Workloads/Prod") -> Target:
    return Target(Account("111122223333", name, ou=ou), region, HOME, "canary")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_as_they_are(console: Console, name: str) -> None:
    failed = TargetResult(
        target(name), Status.FAILED, Step.APPLY, failure=Failure("terraform", f"message {name}", (f"error {name}",))
    )
    stopped = TargetResult(target(name), Status.NOT_STARTED, Step.APPLY, reason=f"reason {name}")
    changes = ChangeSet((ResourceChange("update", f'a.b["{name}"]', ""),), ())

    terminal.print_targets(console, [target(name, ou=name)])
    terminal.print_skipped(console, [SkippedAccount(target(name).account, "the account is suspended")])
    terminal.print_results(console, [failed, stopped])
    terminal.print_change_groups(console, [ChangeGroup(changes, (target(name),))])
    terminal.print_live(console, [(target(name), f"Cannot {name}")])

    text = printed(console)
    for expected in (f"message {name}", f"error {name}", f"reason {name}", f'a.b["{name}"]', f"Cannot {name}"):
        assert expected in text
    assert f"111122223333 {name} eu-west-1: apply failed (terraform)" in text


def test_targets_are_listed_in_their_order(console: Console) -> None:
    terminal.print_targets(console, [target(), target(region="us-east-1")])

    first, second = [line for line in printed(console).splitlines() if "111122223333" in line]
    assert "eu-west-1 (home)" in first
    assert "canary" in first
    assert "111122223333-us-east-1" in second
    assert "(home)" not in second


def test_results_are_counted_and_failures_explained(console: Console) -> None:
    outcome = PlanOutcome(changed=True, add=3, change=2, destroy=1)
    terminal.print_results(
        console,
        [
            TargetResult(target(), Status.CHANGES, Step.PLAN, outcome, seconds=1.25),
            TargetResult(target("Dev"), Status.NO_CHANGES, Step.PLAN, PlanOutcome(changed=False)),
            TargetResult(
                target("Old"),
                Status.FAILED,
                Step.PLAN,
                failure=Failure("access", "The account could not be entered.", ("Cannot assume IAM Role",)),
            ),
            TargetResult(target("A"), Status.NOT_STARTED, Step.PLAN, reason="the run was interrupted"),
            TargetResult(target("B"), Status.NOT_STARTED, Step.PLAN, reason="the run was interrupted"),
        ],
    )

    text = printed(console)
    assert "+3 ~2 -1" in text
    assert "+0" not in text
    assert "111122223333 Old eu-west-1: plan failed (access)\n  The account could not be entered.\n" in text
    assert "  Cannot assume IAM Role\n" in text
    assert "2 not started: the run was interrupted." in text
    assert "5 targets: 1 no changes, 1 changes, 1 failed, 2 not started" in text


def test_nothing_to_do_is_said(console: Console) -> None:
    terminal.print_results(console, [])

    assert "0 targets: nothing to do" in printed(console)


def test_a_change_set_is_shown_once_with_its_targets_by_region(console: Console) -> None:
    changes = tuple(
        ResourceChange(action, f"a.{number}", "")
        for number, action in enumerate(["replace", "delete", "create", "create"])
    )
    members = (target("A"), target("B"), target("A", "us-east-1"))

    terminal.print_change_groups(console, [ChangeGroup(ChangeSet(changes, ()), members)])
    terminal.print_change_groups(console, [ChangeGroup(ChangeSet((), ("arn",)), members[:1])])

    text = printed(console)
    assert "1 to replace, 1 to delete, 2 to create, in 3 targets" in text
    assert "  eu-west-1: A, B\n  us-east-1: A\n" in text
    assert "  -/+ a.0\n    - a.1\n    + a.2\n    + a.3\n" in text
    assert "outputs only, in 1 target\n" in text


def test_live_preferences_are_shown(console: Console) -> None:
    live = LivePreferences("2", "3", {"idleSessionTimeout": "20", "maxSessionDuration": "60"})

    terminal.print_live(console, [(target(), live)])

    assert "idle 20, max 60" in printed(console)
    assert "none" in printed(console)


def test_progress_off_a_terminal_is_a_line_for_each_target(console: Console) -> None:
    progress = terminal.TerminalProgress(console)

    progress.begin(Step.PLAN, 10)
    progress.started(target(), Step.PLAN)
    progress.finished(TargetResult(target("[/x]"), Status.NO_CHANGES, Step.PLAN, seconds=2.0))
    progress.end()

    lines = printed(console).splitlines()
    assert lines[0] == "Planning 10 targets"
    assert lines[1].startswith("[ 1/10] 111122223333 eu-west-1")
    assert lines[1].endswith("[/x]")
    assert "no changes" in lines[1]


def test_progress_on_a_terminal_shows_a_board_and_keeps_failures() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    progress = terminal.TerminalProgress(console)

    progress.begin(Step.APPLY, 2)
    progress.started(target("One"), Step.APPLY)
    progress.finished(TargetResult(target("One"), Status.APPLIED, Step.APPLY))
    progress.started(target("[/Two]"), Step.APPLY)
    progress.finished(TargetResult(target("[/Two]"), Status.FAILED, Step.APPLY, failure=Failure("input", "x")))
    progress.end()

    text = printed(console)
    assert "Applying" in text
    assert "failed" in text
    assert "[2/2]" in text
    assert "[1/2]" not in text


@pytest.mark.parametrize("stderr", [True, False])
def test_a_pipe_gets_wide_lines(monkeypatch: pytest.MonkeyPatch, stderr: bool) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    console = terminal.make_console(stderr=stderr)

    assert console.width >= 120
    assert console.stderr is stderr
