"""The CSV report: a row for each target, and no cell that a spreadsheet calculates."""

import csv
import datetime
import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.changes.change_set import ChangeSet, PlanOutcome, ResourceChange
from session_manager_fleet.reports.csv import COLUMNS
from session_manager_fleet.reports.formats import REPORTS
from session_manager_fleet.run.results import Failure, Status, Step, TargetResult
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets.model import Target

DOCUMENT = Path(__file__).parents[3] / "docs" / "reports.md"


def target(name: str = "Payments") -> Target:
    return Target(Account("000000000012", name, ou="Workloads/Prod"), "eu-west-1", "eu-west-1", "canary")


def rows(*results: TargetResult) -> list[dict[str, str]]:
    summary = Summary.build(
        run_id="20261121T220000Z-abcd",
        command="apply",
        started_at=datetime.datetime(2026, 11, 21, 22, tzinfo=datetime.UTC),
        organization_id="o-exampleorgid",
        targets=results,
        change_sets=[result.change_set for result in results if result.change_set],
    )
    return list(csv.DictReader(io.StringIO(REPORTS["csv"](summary), newline="")))


def failed(message: str, name: str = "Payments") -> TargetResult:
    return TargetResult.build(
        target(name), Status.FAILED, Step.APPLY, failure=Failure("terraform", message, ("a", "b"))
    )


def test_a_row_holds_the_result_of_a_target() -> None:
    change_set = ChangeSet((ResourceChange("delete", "aws_kms_key.this"),))
    outcome = PlanOutcome(changed=True, add=0, change=1, destroy=2)

    [row] = rows(
        TargetResult.build(
            target(), Status.APPLIED, Step.APPLY, outcome, change_set, seconds=2.5, attempts=2, verified=True
        )
    )

    assert tuple(row) == COLUMNS
    assert {name: value for name, value in row.items() if value} == {
        "run_id": "20261121T220000Z-abcd",
        "command": "apply",
        "account_id": "000000000012",
        "account_name": "Payments",
        "ou": "Workloads/Prod",
        "region": "eu-west-1",
        "home_region": "eu-west-1",
        "wave": "canary",
        "workspace": "000000000012",
        "status": "applied",
        "step": "apply",
        "add": "0",
        "change": "1",
        "destroy": "2",
        "change_set": change_set.fingerprint,
        "destructive": "true",
        "verified": "true",
        "attempts": "2",
        "seconds": "2.5",
    }


def test_a_failure_keeps_its_lines() -> None:
    [row] = rows(failed("terraform apply failed."))

    assert (row["failure_kind"], row["failure_message"], row["diagnostics"]) == (
        "terraform",
        "terraform apply failed.",
        "a\nb",
    )


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1+1", " '=1+1"),
        ("＝1+1", "'＝1+1"),  # noqa: RUF001
        ("\t=1+1", "\\t=1+1"),
        ('a";=1+1', "a\";'=1+1"),
        ("a=b; c", "a=b; c"),
    ],
)
def test_no_cell_is_a_formula(name: str, cell: str) -> None:
    assert rows(failed("x", name))[0]["account_name"] == cell


@settings(deadline=None)
@given(st.text(), st.text())
def test_cells_are_inert_whatever_names_and_errors_hold(name: str, message: str) -> None:
    [row] = rows(failed(message, name))

    assert tuple(row) == COLUMNS
    for cell in row.values():
        assert not re.search(r"(^|;)\s*[=+\-@]", cell)


def test_every_column_is_documented_in_order() -> None:
    documented = re.findall(r"(?m)^\| `([a-z_]+)` \|", DOCUMENT.read_text(encoding="utf-8").partition("## CSV")[2])

    assert tuple(documented) == COLUMNS
