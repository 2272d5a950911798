"""What a person sees, whatever names and errors hold."""

import datetime
import io
import json
from collections.abc import Sequence

import pytest
from rich.console import Console

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.changes.change_set import AttributeChange, ChangeSet, PlanOutcome, ResourceChange
from session_manager_fleet.changes.placeholders import SENSITIVE, SET_BY_AWS, UNKNOWN
from session_manager_fleet.preferences.compare import DocumentChange
from session_manager_fleet.preferences.preview import preview_destruction
from session_manager_fleet.reports import terminal
from session_manager_fleet.run.attachments import Attachment
from session_manager_fleet.run.results import Failure, Status, Step, TargetResult
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets.exceptions import PolicyException
from session_manager_fleet.targets.model import SkippedAccount, Target
from session_manager_fleet.terraform.adoptions import Adoption

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


def target(name: str = "Payments", region: str = HOME, ou: str = "Workloads/Prod", number: int = 0) -> Target:
    return Target(Account(str(111122223333 + number), name, ou=ou), region, HOME, "canary")


def summary(*results: TargetResult, exceptions: Sequence[PolicyException] = ()) -> Summary:
    return Summary.build(
        run_id="20261121T220000Z-abcd",
        command="plan",
        started_at=datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC),
        organization_id="o-exampleorgid",
        targets=results,
        change_sets=[result.change_set for result in results if result.change_set],
        exceptions=exceptions,
        warnings=["Something expires soon."],
    )


def planned(change_set: ChangeSet, name: str = "A", region: str = HOME) -> TargetResult:
    return TargetResult.build(target(name, region), Status.CHANGES, Step.PLAN, change_set=change_set)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_as_they_are(console: Console, name: str) -> None:
    changes = ChangeSet((ResourceChange("update", f'a.b["{name}"]', (AttributeChange(name, 1, name),)),), ())
    failed = TargetResult.build(
        target(name),
        Status.FAILED,
        Step.APPLY,
        change_set=changes,
        failure=Failure("terraform", f"message {name}", (f"error {name}",)),
    )
    stopped = TargetResult.build(target(name, number=1), Status.NOT_STARTED, Step.APPLY, reason=f"reason {name}")

    terminal.print_targets(console, [target(name, ou=name)])
    terminal.print_skipped(console, [SkippedAccount("111122223333", name, "the account is suspended")])
    terminal.print_summary(console, summary(failed, stopped))

    text = printed(console)
    for expected in (f"message {name}", f"error {name}", f"reason {name}", f'a.b["{name}"]'):
        assert expected in text
    assert f"111122223333 {name} eu-west-1: apply: terraform failed" in text


def test_names_cannot_steer_the_terminal(console: Console) -> None:
    name = "\x1b[2J\u202eevil\rgone"
    failed = TargetResult.build(target(name), Status.FAILED, Step.PLAN, failure=Failure("input", name, (name,)))

    terminal.print_targets(console, [target(name, ou=name)])
    terminal.print_skipped(console, [SkippedAccount("111122223333", name, name)])
    terminal.print_summary(console, summary(failed))
    progress = terminal.TerminalProgress(console)
    progress.begin(Step.PLAN, 1)
    progress.finished(failed)

    text = printed(console)
    assert not {"\x1b", "\r", "\u202e"} & set(text)
    assert text.count("\\x1b[2J\\u202eevil\\rgone") >= 7


def test_targets_are_listed_in_their_order(console: Console) -> None:
    terminal.print_targets(console, [target(), target(region="us-east-1")])

    first, second = [line for line in printed(console).splitlines() if "111122223333" in line]
    assert "eu-west-1 (home)" in first
    assert "canary" in first
    assert "111122223333-us-east-1" in second
    assert "(home)" not in second


def test_results_are_counted_and_failures_explained(console: Console) -> None:
    outcome = PlanOutcome(changed=True, add=3, change=2, destroy=1)
    failure = Failure("access", "The account could not be entered.", ("Cannot assume IAM Role\nlook here",))
    terminal.print_results(
        console,
        summary(
            TargetResult.build(target(), Status.CHANGES, Step.PLAN, outcome, seconds=1.25),
            TargetResult.build(target("Dev"), Status.NO_CHANGES, Step.PLAN, PlanOutcome(changed=False)),
            TargetResult.build(target("Old"), Status.FAILED, Step.PLAN, failure=failure),
            TargetResult.build(target("Good"), Status.APPLIED, Step.APPLY, verified=True),
            TargetResult.build(target("A"), Status.NOT_STARTED, Step.PLAN, reason="the run was interrupted"),
            TargetResult.build(target("B"), Status.NOT_STARTED, Step.PLAN, reason="the run was interrupted"),
        ),
    )

    text = printed(console)
    assert "+3 ~2 -1" in text
    assert "+0" not in text
    assert "applied, verified" in text
    assert "111122223333 Old eu-west-1: plan: access denied\n  The account could not be entered.\n" in text
    assert "  Cannot assume IAM Role\n  look here\n" in text
    assert "2 not started: the run was interrupted." in text
    assert "6 targets: 1 no changes, 1 changes, 1 applied, 1 failed, 2 not started\n" in text


def test_many_targets_are_shown_in_numbers(console: Console) -> None:
    results = [
        TargetResult.build(
            target(number=number),
            Status.FAILED,
            Step.PLAN,
            failure=Failure("terraform", f"Failure {chr(ord('A') + max(number - 30, 0))}."),
        )
        if number < 60
        else TargetResult.build(target(number=number), Status.NO_CHANGES, Step.PLAN)
        for number in range(1000)
    ]

    terminal.print_results(console, summary(*results))

    lines = printed(console).splitlines()
    assert len(lines) < 80
    [row] = [line for line in lines if "canary" in line]
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["canary", "1,000", "940", "60"]
    # Equal causes are shown once, the one of the most targets first.
    assert lines.count("  Failure A.") == 1
    assert lines[lines.index("  Failure A.") - 2] == "31 targets: plan: terraform failed"
    assert "… and 10 more failed targets: see summary.json." in lines
    assert lines[-1] == "1,000 targets: 940 no changes, 60 failed"


def test_nothing_to_do_is_said(console: Console) -> None:
    terminal.print_results(console, summary())

    assert "0 targets: nothing to do" in printed(console)


def test_a_change_set_is_shown_once_with_its_targets_by_region(console: Console) -> None:
    changes = tuple(
        ResourceChange(action, f"a.{number}")
        for number, action in enumerate(["replace", "delete", "create", "create", "move"])
    )
    destroying, harmless = ChangeSet(changes, ()), ChangeSet((), ("arn",))

    terminal.print_change_sets(
        console,
        summary(
            planned(destroying),
            planned(destroying, "B"),
            planned(destroying, "A", "us-east-1"),
            TargetResult.build(target("C", number=1), Status.CHANGES, Step.PLAN, change_set=harmless),
        ),
    )

    text = printed(console)
    assert f"Change set 1 ({destroying.fingerprint}): 1 to replace, 1 to delete, 2 to create, 1 to move, in 3" in text
    assert "  -/+ a.0\n    - a.1\n    + a.2\n    + a.3\n    > a.4\n" in text
    assert f"Change set 2 ({harmless.fingerprint}): outputs only, in 1 target\n" in text
    assert "outputs: arn" in text


def test_attributes_are_shown_as_a_diff(console: Console) -> None:
    changes = (
        ResourceChange(
            "replace", "a.name", (AttributeChange("name", "a", "b", forces_replacement=True),), "replace by request"
        ),
        ResourceChange("update", "a.many", tuple(AttributeChange(f"x[{n}]", n, n + 1) for n in range(50))),
        ResourceChange(
            "create",
            "a.new",
            (
                AttributeChange("arn", None, UNKNOWN),
                AttributeChange("days", None, 0),
                AttributeChange("empty", None, ""),
                AttributeChange("rotation", None, after=False),
            ),
        ),
        ResourceChange(
            "delete", "a.old", (AttributeChange("id", SET_BY_AWS, None), AttributeChange("name", "x", None))
        ),
    )

    terminal.print_change_sets(console, summary(planned(ChangeSet(changes))))

    text = printed(console)
    assert '  -/+ a.name  (replace by request)\n        ~ name = "a" → "b"  # forces replacement\n' in text
    assert "        ~ x[39] = 39 → 40\n          … and 10 more attributes\n" in text
    assert "    + a.new\n        + days = 0\n        + rotation = false\n" in text
    assert '    - a.old\n        - name = "x"\n' in text
    assert text.endswith(
        "\nAll attributes: session-manager-fleet report 20261121T220000Z-abcd --format html --output report.html\n"
    )


def test_destruction_is_coloured_and_no_colour_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    results = summary(planned(ChangeSet((ResourceChange("delete", "aws_s3_bucket.this"),))))
    texts = {}
    for colour in (None, "1"):
        if colour:
            monkeypatch.setenv("NO_COLOR", colour)
        console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system="standard")
        terminal.print_change_sets(console, results)
        texts[colour] = printed(console)

    assert "\x1b[1;31m    - aws_s3_bucket.this" in texts[None]
    assert "\x1b[1m    - aws_s3_bucket.this" in texts["1"]
    assert "[31m" not in texts["1"]


def test_adoptions_exceptions_and_warnings_are_told(console: Console) -> None:
    lost = (
        DocumentChange("inputs.idleSessionTimeout", "30", "20"),
        DocumentChange("inputs.runAsEnabled", before=True, after=None),
    )
    results = [
        TargetResult.build(target(name, number=number), Status.CHANGES, Step.PLAN, preview=lost)
        for number, name in enumerate(["A", "B"])
    ]
    exception = PolicyException(
        owner="payments",
        reason="migration",
        expires=datetime.date(2026, 11, 22),
        days_left=1,
        targets=("111122223333/eu-west-1",),
        skip=("preferences",),
        set=(),
        where="organization.yaml:40 (exceptions[0])",
    )

    terminal.print_notes(console, summary(*results, exceptions=[exception]))

    assert printed(console).splitlines() == [
        "",
        "Adopted: existing preferences, and what they lose or change, in A eu-west-1, B eu-west-1:",
        '  inputs.idleSessionTimeout: "30" → "20"',
        "  inputs.runAsEnabled: true → null",
        (
            "Exception of payments: skips preferences in 1 target, until 2026-11-22 (1 day left): migration "
            "(organization.yaml:40 (exceptions[0]))"
        ),
        "Warning: Something expires soon.",
    ]


LOST = (DocumentChange("inputs.idleSessionTimeout", "30", "20"),)
INVOCATION = "module.preferences[0].aws_lambda_invocation.this"


@pytest.mark.parametrize(
    ("heading", "preview", "action"),
    [
        ("Adopted: existing preferences, and what they lose or change", LOST, "create"),
        ("Changed: existing preferences", LOST, "update"),
        ("Changed: existing preferences", LOST, "replace"),
        ("Restored: the existing preferences", "restore", "delete"),
        ("Reset: the existing preferences", "reset", "delete"),
        ("Left as they are: the existing preferences", "retain", "delete"),
    ],
)
def test_headings_say_what_happens_to_existing_preferences(
    console: Console, heading: str, preview: tuple[DocumentChange, ...] | str, action: str
) -> None:
    if isinstance(preview, str):
        request = {"document": "SSM-SessionManagerRunShell", "on_destroy": preview}
        change = {"actions": ["delete"], "before": {"input": json.dumps(request)}}
        entry = {"mode": "managed", "type": "aws_lambda_invocation", "change": change}
        preview = preview_destruction({"resource_changes": [entry]})
    change_set = ChangeSet((ResourceChange(action, INVOCATION),))
    adopted = (Adoption("log_group", "/sessions"),)
    detached = (Attachment("arn:aws:iam::111122223333:policy/Sessions", "role", "WebServer"),)
    result = TargetResult.build(
        target(),
        Status.CHANGES,
        Step.PLAN,
        change_set=change_set,
        preview=preview,
        adopted=adopted,
        attachments=detached,
    )

    terminal.print_notes(console, summary(result))

    headings = [line for line in printed(console).splitlines() if line.endswith(", in Payments eu-west-1:")]
    assert [line.removesuffix(", in Payments eu-west-1:") for line in headings] == [
        heading,
        "Used and left as it is: what exists already",
        "Detached: policies that others attached",
    ]


def test_equal_adoptions_are_told_once(console: Console) -> None:
    def adopting(number: int) -> TargetResult:
        adopted = target(f"A{number}", number=number)
        key = f"arn:aws:kms:{HOME}:{adopted.account.id}:key/1234abcd-12ab-34cd-56ef-12345678900{number}"
        lost = (
            DocumentChange("inputs.s3KeyPrefix", "shell", f"logs/{adopted.account.id}/{HOME}"),
            DocumentChange("inputs.kmsKeyId", "", key),
        )
        return TargetResult.build(adopted, Status.CHANGES, Step.PLAN, preview=lost)

    terminal.print_notes(console, summary(adopting(1), adopting(2)))

    assert printed(console).splitlines()[1:4] == [
        "Adopted: existing preferences, and what they lose or change, in A1 eu-west-1, A2 eu-west-1:",
        '  inputs.s3KeyPrefix: "shell" → "logs/<account>/<region>"',
        '  inputs.kmsKeyId: "" → "arn:aws:kms:<region>:<account>:key/<id 1>"',
    ]


def test_marks_of_an_adoption_are_shown_as_marks(console: Console) -> None:
    lost = (
        DocumentChange("inputs.shellProfile.linux", SENSITIVE, SENSITIVE),
        DocumentChange("inputs.kmsKeyId", "", UNKNOWN),
    )

    terminal.print_notes(console, summary(TargetResult.build(target(), Status.CHANGES, Step.PLAN, preview=lost)))

    assert printed(console).splitlines()[2:4] == [
        "  inputs.shellProfile.linux: (sensitive) → (sensitive)",
        '  inputs.kmsKeyId: "" → (known after apply)',
    ]


def test_quiet_results_are_failures_and_counts(console: Console) -> None:
    failed = TargetResult.build(
        target("Bad"), Status.FAILED, Step.PLAN, failure=Failure("terraform", "It failed.", ("why",))
    )

    terminal.print_results(console, summary(failed, finished("Good")), quiet=True)

    assert printed(console).splitlines() == [
        "111122223333 Bad eu-west-1: plan: terraform failed",
        "  It failed.",
        "  why",
        "2 targets: 1 no changes, 1 failed",
    ]


def finished(name: str = "[/x]", status: Status = Status.NO_CHANGES) -> TargetResult:
    failure = Failure("input", "x") if status is Status.FAILED else None
    return TargetResult.build(target(name), status, Step.PLAN, seconds=2.0, failure=failure)


def test_progress_off_a_terminal_is_a_line_for_each_target(console: Console) -> None:
    progress = terminal.TerminalProgress(console)

    progress.begin(Step.PLAN, 10)
    progress.started(target(), Step.PLAN)
    progress.finished(finished())
    progress.end()

    lines = printed(console).splitlines()
    assert lines[0] == "Planning 10 targets"
    assert lines[1].startswith("[ 1/10] 111122223333 eu-west-1")
    assert lines[1].endswith("[/x]")
    assert "no changes" in lines[1]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_quiet_progress_shows_failures_only(is_terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=is_terminal, color_system=None)
    progress = terminal.TerminalProgress(console, quiet=True)

    progress.begin(Step.PLAN, 2)
    progress.started(target(), Step.PLAN)
    progress.finished(finished())
    progress.finished(finished("Bad", Status.FAILED))
    progress.end()

    [line] = printed(console).splitlines()
    assert line.startswith("[2/2] 111122223333 eu-west-1")
    assert "failed" in line


def test_progress_on_a_terminal_shows_a_board_and_keeps_failures() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    progress = terminal.TerminalProgress(console)

    progress.begin(Step.APPLY, 2)
    progress.started(target("One"), Step.APPLY)
    progress.finished(TargetResult.build(target("One"), Status.APPLIED, Step.APPLY))
    progress.started(target("[/Two]"), Step.APPLY)
    progress.finished(finished("[/Two]", Status.FAILED))
    progress.end()

    text = printed(console)
    assert "Applying" in text
    assert "failed" in text
    assert "[2/2]" in text
    assert "[1/2]" not in text


def test_the_board_shows_what_runs_within_bounds() -> None:
    console = Console(file=io.StringIO(), width=100, height=60, force_terminal=True, color_system=None)
    progress = terminal.TerminalProgress(console)

    for number in range(30):
        progress.started(target(f"Account {number}", number=number), Step.PLAN)
    progress.begin(Step.PLAN, 30)
    progress.end()

    text = printed(console)
    assert "· Account 15 eu-west-1" in text
    assert "Account 16" not in text
    assert "· and 14 more" in text


@pytest.mark.parametrize("stderr", [True, False])
def test_a_pipe_gets_wide_lines(monkeypatch: pytest.MonkeyPatch, stderr: bool) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    console = terminal.make_console(stderr=stderr)

    assert console.width >= 120
    assert console.stderr is stderr
