"""No name of an account, no error and nothing in a journal steers the terminal, a CI system or a spreadsheet."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from junitparser import JUnitXml

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.changes.change_set import ChangeSet, PlanOutcome, ResourceChange
from session_manager_fleet.cli.app import run as command
from session_manager_fleet.errors import FleetError
from session_manager_fleet.reports.safe_text import cell, cell_of_lines, json_for_logs, log_text, markup_for_logs
from session_manager_fleet.reports.terminal import make_console
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.results import Failure, Status, Step, TargetKey, TargetResult
from session_manager_fleet.targets.model import Target

# As actions/runner reads lines (ActionCommand.cs), Azure Pipelines, TeamCity and GitLab.
COMMAND = re.compile(r"^\s*::|##(vso|teamcity)?\[|section_(start|end):", re.MULTILINE)
NAMES = {
    "111122223333": "##[add-mask]e",
    "222233334444": "x\n::error file=a::b",
    "333344445555": "=cmd|' /C calc'!A0",
    "444455556666": "\x1b]0;title\x07\u202eevil\x9b31m\tsection_start:1:x\r\x1b[0K",
}
UNIT = "##[set-output name=run;]evil"


@pytest.fixture
def config(tmp_path: Path, settings_file: Callable[[str], Path]) -> Path:
    """An organization whose accounts have such names; the last one is skipped."""
    path = settings_file("overrides:\n- match: {accounts: ['##?add-mask?e']}\n  set: {tags: {'##[x]': '::y'}}\n")
    accounts = [{"id": id_, "name": name, "ou": UNIT} for id_, name in NAMES.items()]
    accounts[-1]["state"] = "SUSPENDED"
    (tmp_path / "accounts.yaml").write_text(json.dumps({"accounts": accounts}))
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("targets",),
        ("targets", "--format", "json"),
        ("targets", "--format", "csv"),
        ("targets", "--account", "::nobody"),
        ("targets", "--account", "a\n::error::x"),
        ("targets", "--region", "##[error]"),
        ("discover",),
        ("explain", "111122223333"),
        ("explain", "222233334444", "--format", "json"),
        ("render", "--all", "--check"),
        ("schema", "##[error]"),
    ],
)
def test_no_output_is_a_command_for_a_ci_system(
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setenv("GITLAB_CI" if "--format" in words else "GITHUB_ACTIONS", "true")
    monkeypatch.setenv("COLUMNS", "80")

    command(["-c", str(config), *words])

    shown = capsys.readouterr()
    for text in shown:
        assert not COMMAND.search(text), text
        assert set(text) - {"\n"} <= {letter for letter in text if letter.isprintable()}
    if words == ("targets", "--format", "json"):
        read = {entry["account_id"]: entry["account_name"] for entry in json.loads(shown.out)["targets"]}
        assert read == {id_: name for id_, name in NAMES.items() if id_ != "444455556666"}


def hostile_run(tmp_path: Path) -> RunFolder:
    targets = [Target(Account(id_, name, ou=UNIT), "eu-west-1", "eu-west-1", "canary") for id_, name in NAMES.items()]
    run = RunFolder.create(tmp_path / "runs")
    run.begin(
        Beginning(
            command="plan",
            organization_id="o-exampleorgid",
            configuration_sha256="ef" * 32,
            targets=tuple(map(TargetKey.of, targets)),
            warnings=("::warning::w", "##[warning]w"),
        )
    )
    change_set = ChangeSet((ResourceChange("create", 'a.b["##[group]c\n::add-mask::d"]'),))
    for number, target in enumerate(targets):
        failure = Failure("terraform", "x\n::error::y", ("##[error]z", "a\n  ::stop-commands::b"))
        outcome = PlanOutcome(changed=True, add=1)
        run.finished(
            TargetResult.build(target, Status.FAILED, Step.PLAN, failure=failure)
            if number % 2
            else TargetResult.build(target, Status.CHANGES, Step.PLAN, outcome, change_set, plan_sha256="ab" * 32)
        )
    run.end(1)
    return run


@pytest.mark.parametrize("name", ["table", "json", "csv", "markdown", "junit", "html"])
def test_no_report_is_a_command_for_a_ci_system(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    run = hostile_run(tmp_path)

    assert command(["report", str(run.path), "--format", name]) == 0

    out = capsys.readouterr().out
    assert not COMMAND.search(out)
    assert {letter for letter in out if not letter.isprintable()} <= {"\n"}
    if name == "json":
        assert [entry["account_name"] for entry in json.loads(out)["targets"]] == list(NAMES.values())
    if name == "junit":
        assert "##[add-mask]e" in {
            case.classname.rpartition("/")[2] for suite in JUnitXml.fromstring(out.encode()) for case in suite
        }


def test_errors_and_warnings_start_no_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    console = make_console(stderr=True)

    console.print(
        str(FleetError("x\n::error::y\n \u3000::add-mask::z ##vso[task.x] ##teamcity[y] section_end:1:q")), markup=False
    )

    assert capsys.readouterr().err == (
        "x\n\\x3a:error::y\n \u3000\\x3a:add-mask::z \\x23#vso[task.x] \\x23#teamcity[y] section\\x5fend:1:q\n"
    )


def test_outside_of_a_ci_system_names_stay_as_they_are(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "TEAMCITY_VERSION"):
        monkeypatch.delenv(name, raising=False)

    assert command(["-c", str(config), "targets", "--account", "111122223333"]) == 0

    assert "##[add-mask]e" in capsys.readouterr().out


def test_targets_as_csv_hold_no_formula_and_no_control_character(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["-c", str(config), "targets", "--format", "csv", "--region", "eu-west-1"]) == 0

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    names = {row["account_id"]: row["account_name"] for row in rows}
    assert names["333344445555"] == "'=cmd|' /C calc'!A0"
    assert names["222233334444"] == r"x\n::error file=a::b"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1", "a;=1"])  # noqa: RUF001
def test_cells_are_no_formulas(text: str) -> None:
    for shown in (cell(text), cell_of_lines(text)):
        assert not re.search(r"(^|;)\s*[=+\-@＝]", shown)  # noqa: RUF001
        assert shown.isprintable()


def test_text_without_commands_stays_as_it_is() -> None:
    for text in (
        "## Heading",
        "a ## b",
        "arn:aws:iam::111122223333:role/x",
        "IPv6 ::1",
        "# [x]",
        "intersection_started",
    ):
        assert log_text(text) == json_for_logs(text) == markup_for_logs(text) == text
