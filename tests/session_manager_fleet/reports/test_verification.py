"""Reports of a verification in all formats: what they say, and that nothing in them comes alive."""

import csv
import io
import json
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256

import jsonschema
import junitparser
import pytest
from rich.console import Console

from session_manager_fleet.reports import VERIFICATION_REPORTS, filtered, print_verification, verification_page
from session_manager_fleet.reports.safe_text import visible
from session_manager_fleet.reports.verification.groups import groups
from session_manager_fleet.verify import Severity, Verdict, Verification, verification_schema
from tests.session_manager_fleet.reports.pages import Page
from tests.session_manager_fleet.reports.test_formats import HOSTILE_SUMMARY
from tests.session_manager_fleet.reports.verifications import (
    HOSTILE,
    OK,
    hostile,
    many,
    verification_of,
    verified,
    wrong,
)

HOSTILE_RUN = hostile()
EMPTY = verification_of(exit_code=0)


@pytest.mark.parametrize("name", VERIFICATION_REPORTS)
def test_no_report_holds_what_a_terminal_or_a_ci_system_would_obey(name: str) -> None:
    text = VERIFICATION_REPORTS[name](HOSTILE_RUN)

    assert text.endswith("\n")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe]", text)
    if name not in {"table", "csv"}:  # which are made safe where a CI system reads them
        assert "##[" not in text
        assert not re.search(r"(?m)^\s*::\w", text)
    assert VERIFICATION_REPORTS[name](EMPTY)


def test_json_is_the_result_and_has_the_published_schema() -> None:
    text = VERIFICATION_REPORTS["json"](HOSTILE_RUN)

    jsonschema.validate(json.loads(text), verification_schema(), jsonschema.Draft202012Validator)
    assert Verification.model_validate_json(text) == HOSTILE_RUN


def test_equal_findings_are_shown_once_the_worst_first() -> None:
    low = wrong("000000000003").model_copy(update={"severity": Severity.LOW, "name": "log_group"})
    run = verification_of(
        verified(1, "One", low),
        verified(2, "Two", wrong("000000000002", history="new")),
        verified(3, "Three", wrong("000000000003", history="open")),
    )

    worst, rest = groups(run.targets, {Verdict.FINDING})

    assert (
        worst.check.message == "The document of <account> is not as configured; key 11111111-2222-3333-4444-<account>."
    )
    assert ([target.account_name for target in worst.targets], worst.new) == (["Two", "Three"], 1)
    # One target keeps its own words, so that its command can be typed.
    assert rest.check == low


def test_the_terminal_names_each_finding_with_its_accounts_and_its_cure() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_verification(console, many(70))

    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "critical: preferences, in 10 targets"
    assert lines[1].startswith("  000000000007 account-7 eu-west-1, 000000000014")
    assert "  Fix: Plan and apply this target." in lines
    assert lines[-1] == "70 targets: 200 ok, 10 finding (10 critical)"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"preferences", "log_group", "roles"}),
        ({"severity": Severity.HIGH}, {"preferences", "roles"}),
        ({"names": ["log_group"]}, {"log_group"}),
        ({"only_wrong": True}, {"preferences", "log_group"}),
        ({"severity": Severity.HIGH, "only_wrong": True}, {"preferences"}),
    ],
)
def test_filters_leave_out_checks(options: dict[str, object], names: set[str]) -> None:
    shown = filtered(HOSTILE_RUN, **options)  # type: ignore[arg-type]

    assert {check.name for target in shown.targets for check in target.checks} == names
    assert any(target.failure for target in shown.targets)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, 2),
        ({"severity": Severity.HIGH}, 0),
        ({"severity": Severity.LOW}, 2),
        ({"names": ["preferences"]}, 0),
        ({"names": ["log_group"]}, 0),
        ({"names": ["log_group"], "severity": Severity.LOW}, 2),
        ({"only_wrong": True}, 2),
    ],
)
def test_the_exit_code_is_that_of_what_is_shown(options: dict[str, object], code: int) -> None:
    low = wrong("000000000001").model_copy(update={"severity": Severity.LOW, "name": "log_group"})
    run = verification_of(verified(1, "One", low, OK))

    assert filtered(run, **options).exit_code == code  # type: ignore[arg-type]


def test_csv_has_a_row_for_each_check_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(VERIFICATION_REPORTS["csv"](HOSTILE_RUN))))

    assert len(rows) == 9 * 3 + 2
    assert {row["verdict"] for row in rows} == {"finding", "not_checked", "not_needed", "ok", "failed"}
    assert rows[0]["account_name"] == HOSTILE[0]
    assert not [cell for row in rows for cell in row.values() if cell[:1] in {"=", "+", "-", "@"}]


def test_junit_is_read_by_others() -> None:
    document = junitparser.JUnitXml.fromstring(VERIFICATION_REPORTS["junit"](HOSTILE_RUN).encode())

    assert (document.tests, document.failures, document.errors, document.skipped) == (29, 9, 10, 9)
    cases = {(suite.name, case.name): case for suite in document for case in suite}
    assert cases["000000000001 eu-west-1", "preferences"].result[0].type == "critical"
    assert cases["000000000020 eu-west-1", "access"].result[0].message.startswith("Access denied")


def test_a_finding_that_an_exception_explains_is_suppressed() -> None:
    run = hostile()
    findings = [check for target in run.targets for check in target.checks if check.verdict == "finding"]
    explained = sum(bool(check.exceptions) for check in findings)
    assert explained

    results = json.loads(VERIFICATION_REPORTS["sarif"](run))["runs"][0]["results"]
    statuses = [finding["Workflow"]["Status"] for finding in json.loads(VERIFICATION_REPORTS["asff"](run))]
    events = [event for event in json.loads(VERIFICATION_REPORTS["ocsf"](run)) if event["status"] == "Suppressed"]

    (said,) = next(result["suppressions"] for result in results if result["suppressions"])
    assert (said["kind"], said["status"]) == ("external", "accepted")
    assert "until 2027-01-31." in said["justification"]
    assert sum(bool(result["suppressions"]) for result in results) == explained
    assert statuses.count("SUPPRESSED") == explained
    assert [event["status_id"] for event in events] == [3] * explained
    assert all("until 2027-01-31." in event["comment"] for event in events)
    for name, word in (("sarif", "justification"), ("asff", "SUPPRESSED"), ("ocsf", "Suppressed")):
        assert word not in VERIFICATION_REPORTS[name](many(60))


def test_markdown_keeps_within_a_comment_and_escapes_names() -> None:
    text = VERIFICATION_REPORTS["markdown"](HOSTILE_RUN)

    assert "<script" not in text
    assert "](javascript" not in text
    assert len(text) < 65_536
    assert "### critical: preferences, in 1 target, 1 new" in text


# --- The page ------------------------------------------------------------------------------------------------------

HTML = verification_page(HOSTILE_RUN, HOSTILE_SUMMARY)


def test_names_add_no_element_to_the_page() -> None:
    page = Page(HTML)

    assert (page.count("script"), page.count("img"), page.count("style")) == (2, 0, 1)
    for _, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on") or name in {"src", "style", "action"}}
    places = {f"#{attributes['id']}" for _, attributes in page.elements if "id" in attributes}
    assert {attributes["href"] for tag, attributes in page.elements if tag == "a"} <= places


def test_the_page_shows_plan_groups_exceptions_and_history_of_the_run() -> None:
    text = re.sub(r"<[^>]*>", "", HTML)

    for part in (
        "Planned changes 2",
        "Exceptions 1",
        "Fixed 1",
        "Trend 2",
        "Skipped accounts 1",
        "5 new, 4 still open",
    ):
        assert part in re.sub(r"\s+", " ", text)


_PROBE = """
const seen = {};
const $ = (id) => document.getElementById(id);
const set = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("change")); };
const accounts = () => document.querySelectorAll("#heat .account").length;
const units = () => Array.from(document.querySelectorAll("#heat tbody")).filter((body) => !body.hidden).length;
seen.ready = Number(document.documentElement.dataset.ready) >= 0;
seen.units = units();
seen.closed = accounts();
const unit = document.querySelector("#heat .unit button");
unit.click();
seen.opened = [unit.getAttribute("aria-expanded"), accounts() > 0];
const more = document.querySelector("#heat .more button");
seen.more = more ? (more.click(), accounts()) : 0;
unit.click();
set("filter-verdict", "critical");
seen.critical = $("filter-count").value;
const cell = document.querySelector("#heat .account .critical button");
cell.focus();
cell.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
cell.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
seen.moved = document.activeElement !== cell;
cell.click();
seen.dialog = [$("detail").open, $("detail-title").textContent, /[0-9]{12}/.test($("detail-body").textContent)];
seen.placeholders = /<(account|region|id)>/.test($("detail-body").textContent);
$("detail").close();
set("filter-verdict", "");
set("filter-check", "2");
seen.check = $("filter-count").value;
document.querySelector("#filter button[type=reset]").click();
const began = performance.now();
$("filter-text").value = "account-4999";
$("filter-verdict").dispatchEvent(new Event("change"));
seen.search = [units(), accounts(), performance.now() - began < 1000];
$("filter-text").value = "";
$("filter-verdict").dispatchEvent(new Event("change"));
seen.alerts = typeof window.alerted;
seen.sideways = document.documentElement.scrollWidth > innerWidth;
const visible = Array.from(document.querySelectorAll("main button, main a, main select, main input"))
  .filter((element) => element.checkVisibility());
seen.nameless = visible.filter((element) => !(element.textContent.trim() || element.getAttribute("aria-label"))).length;
window.dispatchEvent(new Event("beforeprint"));
seen.folded = document.querySelectorAll("details:not([open])").length;
parent.postMessage(JSON.stringify(seen), "*");
"""


def probed(page: str) -> str:
    """The page with the probe, which its policy lets run, too."""
    digest = b64encode(sha256(_PROBE.encode()).digest()).decode()
    page = page.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    return page.replace("</body>", f"<script>{_PROBE}</script></body>")


def seen_in(content: str) -> dict[str, object]:
    [seen] = [attributes["data-seen"] for tag, attributes in Page(content).elements if tag == "body"]
    found: dict[str, object] = json.loads(seen or "")
    return found


@pytest.mark.parametrize("width", [1280, 400])
def test_chromium_shows_the_page(browse: Callable[..., tuple[str, list[str]]], width: int) -> None:
    content, console = browse(probed(HTML), width)

    assert console == []
    assert seen_in(content) == {
        "ready": True,
        "units": 11 - 1,
        "closed": 0,
        "opened": ["true", True],
        "more": 0,
        "critical": "9 of 11 targets",
        "moved": True,
        "dialog": [True, "preferences: critical", True],
        "placeholders": False,
        "check": "10 of 11 targets",
        "search": [0, 0, True],
        "alerts": "undefined",
        "sideways": False,
        "nameless": 0,
        "folded": 0,
    }


def test_five_thousand_accounts_stay_fluid(browse: Callable[..., tuple[str, list[str]]]) -> None:
    page = verification_page(many(5000))
    assert len(page) < 2_000_000

    loaded, _ = browse(page, framed=False)
    content, console = browse(probed(page))

    [ready] = [attributes["data-ready"] for tag, attributes in Page(loaded).elements if tag == "html"]
    assert int(ready or "") < 3000, "milliseconds until the page can be used"
    assert console == []
    seen = seen_in(content)
    assert (seen["units"], seen["closed"], seen["more"]) == (40, 0, 125)
    assert (seen["critical"], seen["check"]) == ("714 of 5,000 targets", "5,000 of 5,000 targets")
    assert seen["search"] == [1, 1, True]
    assert (seen["dialog"], seen["placeholders"]) == ([True, "preferences: critical", True], False)


def test_visible_names_are_in_the_data() -> None:
    data = Page(HTML).texts["script"][0]
    assert json.loads(data)["targets"][0][1] == visible(HOSTILE[0])
