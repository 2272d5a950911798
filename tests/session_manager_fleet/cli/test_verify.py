"""A verification is a run: its folder, its history, its reports, and its exit codes."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from session_manager_fleet.targets import Target
from session_manager_fleet.verify import Severity, TargetVerification, Verdict, Verifier, verification_schema
from session_manager_fleet.verify.model import Check, finding, ok
from tests.session_manager_fleet.cli.conftest import Command

DEV = ("--account", "Dev")
BAD = Check("preferences", Verdict.FINDING, "It differs.", "Plan and apply this target.", severity=Severity.CRITICAL)
UNREAD = Check("preferences", Verdict.NOT_CHECKED, "Denied.", "Allow it.", severity=Severity.CRITICAL)
WELL = ok("preferences", "As configured.")

Found = Callable[..., None]


@pytest.fixture
def found(ready: Path, monkeypatch: pytest.MonkeyPatch) -> Found:  # noqa: ARG001
    """Let the next verification find these checks in every target."""

    def now(*checks: Check, failure: str = "") -> None:
        def verify(
            _: object, targets: Sequence[Target], *_more: object, **_options: object
        ) -> list[TargetVerification]:
            return [TargetVerification(target, checks, failure) for target in targets]

        monkeypatch.setattr(Verifier, "verify", verify)

    return now


def verified(command: Command, code: int, *options: str) -> dict[str, Any]:
    outcome = command("verify", *(options or DEV), "--format", "json")
    assert outcome.code == code, outcome
    result: dict[str, Any] = json.loads(outcome.out)
    jsonschema.validate(result, verification_schema(), jsonschema.Draft202012Validator)
    return result


def test_a_verification_is_a_private_run_folder(command: Command, found: Found, ready: Path) -> None:
    found(BAD)

    result = verified(command, 2)

    folder = ready / "runs" / result["run_id"]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == dict.fromkeys(
        ["journal.jsonl", "verification.json", "history.json"], "0o600"
    )
    assert folder.stat().st_mode & 0o777 == 0o700
    assert json.loads((folder / "verification.json").read_text()) == result
    begun, ended = map(json.loads, (folder / "journal.jsonl").read_text().splitlines())
    assert (begun["command"], ended["exit_code"]) == ("verify", 2)
    assert begun["caller"] == result["caller"] != ""
    assert result["organization_id"] == begun["organization_id"] == "o-exampleorgid"
    assert result["configuration_sha256"] == begun["configuration_sha256"]
    assert set(result["versions"]) == {"session-manager-fleet", "python", "boto3"}
    assert result["selection"] == ["--account Dev"]


def test_findings_are_new_open_or_fixed(command: Command, found: Found) -> None:
    found(WELL)
    first = verified(command, 0)
    assert (first["compared_with"], len(first["trend"])) == ("", 1)

    found(BAD)
    new = verified(command, 2)
    (check,) = new["targets"][0]["checks"]
    assert (check["history"], check["first_seen"], new["compared_with"]) == ("new", new["started_at"], first["run_id"])

    found(UNREAD)
    assert verified(command, 1)["fixed"] == []

    # What could not be checked in between neither fixes nor renews a finding.
    found(BAD)
    again = verified(command, 2, "--all")
    checks = {
        target["account_name"]: target["checks"][0] for target in again["targets"] if target["region"] == "eu-west-1"
    }
    assert (checks["Dev"]["history"], checks["Dev"]["first_seen"]) == ("open", new["started_at"])
    assert (checks["Payments"]["history"], len(again["trend"])) == (None, 1)

    found(WELL)
    fixed = verified(command, 0)
    assert {(each["account_id"], each["check"], each["first_seen"]) for each in fixed["fixed"]} == {
        ("222233334444", "preferences", new["started_at"])
    }
    assert [point["findings"].get("critical", 0) > 0 for point in fixed["trend"]] == [False, True, False, False]


def test_damaged_and_foreign_history_is_left_out(command: Command, found: Found, ready: Path) -> None:
    found(BAD)
    first = verified(command, 2)
    history = ready / "runs" / first["run_id"] / "history.json"
    for content in ("{", history.read_text().replace("o-exampleorgid", "o-otherorgid00")):
        history.write_text(content)
        assert verified(command, 2)["compared_with"] != first["run_id"]


@pytest.mark.parametrize("output", ["table", "csv", "markdown", "junit", "sarif", "ocsf", "asff", "html"])
def test_report_shows_it_again_in_every_format(command: Command, found: Found, ready: Path, output: str) -> None:
    found(BAD)
    run = verified(command, 2)["run_id"]

    shown = command("report", run, "--format", output)
    written = command("report", run, "--format", output, "--output", "report.out")

    assert (shown.code, written.code) == (0, 0)
    assert "It differs." in shown.out
    assert (ready / "report.out").stat().st_mode & 0o777 == 0o600
    if output != "table":
        assert (ready / "report.out").read_text() == shown.out


def test_the_page_shows_the_change_sets_of_a_plan(command: Command, found: Found, ready: Path) -> None:
    command("plan", *DEV)
    (plan,) = (path.parent.name for path in ready.glob("runs/*/summary.json"))
    found(BAD)
    run = verified(command, 2)["run_id"]

    page = command("report", run, "--format", "html", "--plan", plan)

    assert "Planned changes" in page.out
    assert command("report", plan, "--plan", plan).code == 64


@pytest.mark.parametrize("verb", ["resume", "apply"])
def test_it_is_no_run_to_continue(command: Command, found: Found, verb: str) -> None:
    found(BAD)
    run = verified(command, 2)["run_id"]

    outcome = command(verb, run, "--yes")

    assert outcome.code == 64
    assert "verified targets and planned nothing" in outcome.err
    assert "verified targets and planned nothing" in command("merge", f"runs/{run}").err


def test_a_verification_that_died_has_no_report(command: Command, found: Found, ready: Path) -> None:
    found(BAD)
    run = verified(command, 2)["run_id"]
    (ready / "runs" / run / "verification.json").unlink()

    outcome = command("report", run)

    assert (outcome.code, "has no result" in outcome.err) == (64, True)


@pytest.mark.parametrize(
    ("options", "code", "shown"),
    [
        ([], 2, {"preferences", "roles", "log_group"}),
        (["--severity", "high"], 2, {"preferences", "log_group"}),
        (["--check", "log_group"], 0, {"log_group"}),
        (["--only-findings"], 2, {"preferences", "roles"}),
        # A finding of low severity is shown, and fails nothing.
        (["--check", "roles", "--only-findings"], 0, {"roles"}),
    ],
)
def test_filters(command: Command, found: Found, options: list[str], code: int, shown: set[str]) -> None:
    low = Check("roles", Verdict.FINDING, "One lacks it.", "Attach it.", severity=Severity.LOW)
    found(BAD, low, ok("log_group", "It exists."))

    result = verified(command, code, *DEV, *options)

    assert {check["name"] for target in result["targets"] for check in target["checks"]} == shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--severity", "huge"], '"huge" is not a severity'),
        (["--check", "nothing"], 'There is no check "nothing"'),
        (["--format", "pdf"], 'Unknown format "pdf"'),
    ],
)
def test_wrong_options(command: Command, found: Found, options: list[str], message: str) -> None:
    found(WELL)

    outcome = command("verify", *DEV, *options)

    assert outcome.code == 64
    assert message in outcome.err.replace("\n", " ")


def test_an_account_without_access_is_a_failure(command: Command, found: Found) -> None:
    found(failure="Access denied.")
    assert verified(command, 1)["targets"][0]["failure"] == "Access denied."

    found(finding("roles", "One lacks it."))
    assert "No access" not in command("verify", *DEV).out
