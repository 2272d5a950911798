"""Reports of runs in all formats: what they say, and that nothing in them comes alive, whatever a summary holds."""

import datetime
import json
import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest
from hypothesis import given, settings, strategies as st
from markdown_it import MarkdownIt
from pydantic import JsonValue

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.changes.change_set import AttributeChange, ChangeSet, PlanOutcome, ResourceChange
from session_manager_fleet.changes.placeholders import SENSITIVE, UNKNOWN
from session_manager_fleet.cli.app import run as run_command
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.preferences.compare import DocumentChange
from session_manager_fleet.reports.commands import PROGRAM, Commands
from session_manager_fleet.reports.formats import REPORTS
from session_manager_fleet.reports.markdown import LIMIT, markdown
from session_manager_fleet.reports.safe_text import code, visible
from session_manager_fleet.reports.text import diff_lines, listed, value_text
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.results import Failure, Status, Step, TargetKey, TargetResult
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets.exceptions import PolicyException
from session_manager_fleet.targets.model import SkippedAccount, Target
from tests.session_manager_fleet.reports.pages import Page

HOME = "eu-west-1"
GOLDEN = Path(__file__).parent / "golden"
BEGUN = datetime.datetime(2026, 11, 21, 22, 0, tzinfo=datetime.UTC)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "pipe | and `tick` and ```",
    "\x1b[31mred\x1b[0m\x07",
    "\u202egnp.exe\u2066",
    "@everyone #1 [x](javascript:alert(1)) https://example.com www.example.com",
    "</details></pre>]]>&amp;",
    "nul \x00 \ufffe é 日本 🙂",
    "{{ 7 * 7 }} {% raw %}\nnext line\r\n# heading",
)


def target(name: str, region: str = HOME, number: int = 1, wave: str = "canary") -> Target:
    return Target(Account(f"{number:012}", name, ou=f"Root/{name}"), region, HOME, wave)


def summary_of(*results: TargetResult, finished: bool = True) -> Summary:
    exception = PolicyException(
        owner=HOSTILE[0],
        reason=HOSTILE[2],
        expires=datetime.date(2026, 12, 1),
        days_left=10,
        targets=("000000000001/eu-west-1",),
        skip=("preferences",),
        set=("tags.team",),
        where="organization.yaml:40 (exceptions[0])",
    )
    return Summary.build(
        run_id="20261121T220000Z-abcd",
        command="apply",
        started_at=BEGUN,
        finished_at=BEGUN + datetime.timedelta(minutes=3) if finished else None,
        exit_code=1 if finished else None,
        organization_id="o-exampleorgid",
        targets=[replace(result, log=f"{result.key}/terraform.log") for result in results],
        change_sets=[result.change_set for result in results if result.change_set],
        skipped=[
            SkippedAccount(account_id="999999999999", account_name=HOSTILE[0], reason=f"the account is {HOSTILE[5]}")
        ],
        exceptions=[exception],
        warnings=[f"The organization is {HOSTILE[3]}."],
    )


DESTRUCTIVE = ChangeSet(
    (
        ResourceChange(
            "replace",
            f'aws_kms_key.this["{HOSTILE[1]}"]',
            (
                AttributeChange("description", HOSTILE[0], HOSTILE[2], forces_replacement=True),
                AttributeChange(f'tags["{HOSTILE[3]}"]', None, HOSTILE[8]),
                AttributeChange("policy", "first\nsecond\nthird\n", f"first\n{HOSTILE[2]}\nthird\n"),
                AttributeChange("long", "a" * 500, UNKNOWN),
                AttributeChange("secret", SENSITIVE, SENSITIVE),
            ),
            "replace because tainted",
        ),
        ResourceChange("delete", "aws_s3_bucket.this", (AttributeChange("bucket", "logs", None),)),
    )
)
QUIET = ChangeSet(
    (
        ResourceChange("update", "aws_iam_policy.this", (AttributeChange("retention", 30, 90),)),
        ResourceChange("create", "aws_kms_alias.this", (AttributeChange("arn", None, UNKNOWN),)),
    ),
    ("arn",),
)
FOUND = PlanOutcome(changed=True, add=1, change=2, destroy=3)


def hostile_results() -> list[TargetResult]:
    changed = [
        TargetResult.build(
            target(name, number=number),
            Status.CHANGES,
            Step.PLAN,
            FOUND,
            DESTRUCTIVE if number % 2 else QUIET,
            preview=(DocumentChange("inputs.shellProfile.linux", HOSTILE[0], HOSTILE[4]),) if number < 3 else (),
        )
        for number, name in enumerate(HOSTILE, start=1)
    ]
    failure = Failure("terraform", HOSTILE[0], (HOSTILE[3], HOSTILE[8]))
    return [
        *changed,
        TargetResult.build(target(HOSTILE[2], number=11), Status.FAILED, Step.APPLY, failure=failure, verified=False),
        TargetResult.build(target("In", number=12), Status.FAILED, Step.PLAN, failure=Failure("access", "No way in.")),
        TargetResult.build(target("Late", number=13), Status.NOT_STARTED, Step.APPLY, reason=HOSTILE[6]),
        TargetResult.build(target("Torn", number=14, wave="rest"), Status.UNFINISHED, Step.APPLY),
        TargetResult.build(target("Done", number=15, wave="rest"), Status.APPLIED, Step.APPLY, FOUND, seconds=2.5),
    ]


HOSTILE_SUMMARY = summary_of(*hostile_results())


def many(count: int) -> Summary:
    results = [
        TargetResult.build(
            target(f"Account {number}", number=number),
            Status.FAILED,
            Step.PLAN,
            failure=Failure("terraform", f"Error {number}: " + "x" * 300, ("y" * 1000,)),
        )
        if number % 2
        else TargetResult.build(
            target(f"Account {number}", number=number),
            Status.CHANGES,
            Step.PLAN,
            FOUND,
            ChangeSet((ResourceChange("delete" if number % 4 else "update", f"aws_kms_key.k{number}"),)),
        )
        for number in range(1, count + 1)
    ]
    return summary_of(*results)


@pytest.mark.parametrize(("name", "file"), [("markdown", "run.md"), ("junit", "run.junit.xml"), ("table", "run.txt")])
def test_hostile_summaries_read_as_agreed(name: str, file: str) -> None:
    """Rewrite a file by hand only when its report is meant to change."""
    assert REPORTS[name](HOSTILE_SUMMARY) == (GOLDEN / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REPORTS)
def test_no_report_holds_what_a_terminal_would_obey(name: str) -> None:
    text = REPORTS[name](HOSTILE_SUMMARY)

    assert text.endswith("\n")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe]", text)


@pytest.mark.parametrize("name", REPORTS)
def test_an_empty_and_an_unfinished_run_have_reports(name: str) -> None:
    assert REPORTS[name](summary_of())
    assert REPORTS[name](summary_of(*hostile_results()[:2], finished=False))


def test_json_is_the_summary() -> None:
    assert Summary.model_validate_json(REPORTS["json"](HOSTILE_SUMMARY)) == HOSTILE_SUMMARY


# --- Text ----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.text())
def test_visible_text_is_printable_and_says_the_same(text: str) -> None:
    shown = visible(text)

    assert all(letter.isprintable() or letter.isspace() for letter in shown)
    assert "\n" not in shown
    assert visible(shown) == shown
    if text.isprintable():
        assert shown == text


def test_what_is_no_character_is_spelled_out() -> None:
    assert visible("\ud800 \u0378 \ue000") == "\\ud800 \\u0378 \\ue000"


def test_names_are_cut() -> None:
    assert listed(["a", "b", "c"], 3) == "a, b, c"
    assert listed(["a", "b", "c"], 1) == "a and 2 more"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", '"text"'),
        (90, "90"),
        (False, "false"),
        ([], "[]"),
        (UNKNOWN, UNKNOWN),
        (SENSITIVE, SENSITIVE),
        ("a\nb\x1b", '"a\\nb\\u001b"'),
        ("x" * 300, '"' + "x" * 159 + "… (302 characters)"),
    ],
)
def test_values_are_shown(value: JsonValue, expected: str) -> None:
    assert value_text(value) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (AttributeChange("a", 1, 2), ["~ a = 1 → 2"]),
        (AttributeChange("a", None, "x"), ['+ a = "x"']),
        (AttributeChange("a", "x", None), ['- a = "x"']),
        (AttributeChange("a", 1, 2, forces_replacement=True), ["~ a = 1 → 2  # forces replacement"]),
        (AttributeChange("a", "b" * 60, "c" * 60), [f'- a = "{"b" * 60}"', f'+ a = "{"c" * 60}"']),
        (
            AttributeChange("a", "1\n2\n3\n4\n5\n6", "1\n2\n3\n4\nfive\n6"),
            ["~ a:", "    …", "    3", "    4", "-   5", "+   five", "    6"],
        ),
        (AttributeChange("a", "1\n2", "1\r\n2"), ['~ a = "1\\n2" → "1\\r\\n2"']),
        (AttributeChange("a", "1\n2", UNKNOWN), [f'~ a = "1\\n2" → {UNKNOWN}']),
    ],
)
def test_differences_are_shown_as_a_diff(change: AttributeChange, expected: list[str]) -> None:
    assert [f"{line.symbol} {line.text}" for line in diff_lines(change)] == expected


# --- Markdown ------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.text())
def test_somebody_elses_text_is_no_markdown(text: str) -> None:
    shown = code(text)

    inner = shown.removeprefix("<code>").removesuffix("</code>")
    assert not set(inner.replace("&#", "")) & set("<>`*_|@[]\\\n")
    assert re.fullmatch(r"(?:[^&#]|&#[0-9]+;)*", inner)


def test_a_markdown_renderer_finds_only_what_is_meant() -> None:
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(REPORTS["markdown"](HOSTILE_SUMMARY))
    page = Page(rendered)

    wanted = {"h2", "h3", "p", "strong", "code", "ul", "li", "pre", "details", "summary"}
    assert {tag for tag, _ in page.elements} == wanted | {"table", "thead", "tbody", "tr", "th", "td"}
    assert page.count("details") == rendered.count("</details>") == 7
    for name in HOSTILE:
        assert visible(name) in page.texts["code"]


@pytest.mark.parametrize("limit", [1500, 4000, 20_000, LIMIT])
@pytest.mark.parametrize("summary", [HOSTILE_SUMMARY, many(400)], ids=["hostile", "many"])
def test_a_comment_keeps_within_the_limit(summary: Summary, limit: int) -> None:
    text = markdown(summary, limit=limit)

    assert len(text.encode("utf-16-le")) // 2 <= limit
    assert text.count("<details") == text.count("</details>")
    assert len(re.findall(r"(?m)^\s*`{3,}", text)) % 2 == 0


def test_failures_come_first_then_what_is_destroyed_and_the_rest_is_counted() -> None:
    text = markdown(many(2000))

    order = [text.index(heading) for heading in ("| targets |", "### Failures", "### Destructive changes")]
    assert order == sorted(order)
    left_out = re.search(r"Omitted, because comments are limited in size: (.*)\. Full report: (.*)\.\n$", text)
    assert left_out is not None
    shown = {"failure": text.count("**plan: terraform failed**"), "change set": text.count("**1 to ")}
    counts = {
        noun: int(number.replace(",", ""))
        for number, noun in re.findall(r"([0-9,]+) ([a-z ]+?)s?(?:, |$)", left_out[1])
    }
    assert shown["failure"] + counts["failure"] == 1000
    assert shown["change set"] + counts["change set"] == 1000
    assert "report 20261121T220000Z-abcd --format html" in left_out[2]


def test_a_comment_that_holds_everything_says_so() -> None:
    assert "Omitted" not in REPORTS["markdown"](HOSTILE_SUMMARY)


# --- JUnit ---------------------------------------------------------------------------------------------------------


def test_junit_has_a_case_for_each_target_and_is_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "run.xml"
    path.write_text(REPORTS["junit"](HOSTILE_SUMMARY), encoding="utf-8")

    document = junitparser.JUnitXml.fromfile(str(path))

    assert [suite.name for suite in document] == ["canary", "rest"]
    assert (document.tests, document.failures, document.errors, document.skipped) == (14, 1, 2, 1)
    cases = {case.name: case for suite in document for case in suite}
    assert cases["000000000011 eu-west-1"].result[0].message == "apply: terraform failed"
    assert cases["000000000012 eu-west-1"].result[0].type == "access"
    assert cases["000000000001 eu-west-1"].is_passed
    assert "+1 ~2 -3" in cases["000000000001 eu-west-1"].system_out


@settings(deadline=None)
@given(st.text(), st.text())
def test_junit_is_xml_whatever_names_hold(name: str, message: str) -> None:
    failed = TargetResult.build(target(name), Status.FAILED, Step.PLAN, failure=Failure("input", message))

    root = ElementTree.fromstring(REPORTS["junit"](summary_of(failed)))  # noqa: S314 - made here

    assert [case.tag for case in root.iter("testcase")] == ["testcase"]


# --- HTML ----------------------------------------------------------------------------------------------------------


HTML = REPORTS["html"](HOSTILE_SUMMARY)


def test_names_add_no_element_to_the_page() -> None:
    page = Page(HTML)
    assert (page.count("script"), page.count("img"), page.count("style")) == (1, 0, 1)
    for _, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on") or name in {"src", "style", "action"}}


def test_links_lead_to_places_in_the_page_only() -> None:
    elements = Page(HTML).elements
    places = {f"#{attributes['id']}" for _, attributes in elements if "id" in attributes}
    links = [attributes["href"] for tag, attributes in elements if tag == "a"]

    assert set(links) <= places
    assert links[0] == "#main"


def test_the_page_begins_with_the_outcome_and_the_next_steps() -> None:
    outcome = "2 failed, 1 unfinished, 1 not started, 9 changes, 1 applied"
    texts = [outcome, 'id="contents"', 'id="next"', "resume 20261121T220000Z-abcd"]
    sections = ["failures", "targets", "changes", "previews", "exceptions", "warnings", "skipped"]
    places = [HTML.index(text) for text in [*texts, *(f'<section id="{name}">' for name in sections)]]

    assert places == sorted(places)
    assert HTML.index("change-set destructive") < HTML.index('id="set-2"')


def test_the_page_holds_whole_values() -> None:
    assert "a" * 500 in HTML
    assert "characters)" not in HTML


def test_equal_failures_are_shown_once() -> None:
    failures = [
        TargetResult.build(
            target(f"Account {number}", number=number),
            Status.FAILED,
            Step.PLAN,
            failure=Failure(
                "terraform", f"No access to {number:012}.", ("AccessDenied, RequestID: " + f"{number:08}",)
            ),
        )
        for number in range(1, 31)
    ]

    page = Page(REPORTS["html"](summary_of(*failures)))

    causes = [attributes for tag, attributes in page.elements if tag == "article"]
    assert [attributes["id"] for attributes in causes] == ["failure-1"]
    assert "No access to <account>." in page.texts["p"]
    assert REPORTS["markdown"](summary_of(*failures)).count("AccessDenied") == 1


def test_the_page_allows_its_own_script_and_style_only() -> None:
    [policy] = [
        dict(attrs)["content"] for tag, attrs in Page(HTML).elements if "content-security" in str(attrs).lower()
    ]
    assert policy is not None
    directives = dict(each.split(" ", 1) for each in policy.split("; "))

    for directive, element in (("script-src", "script"), ("style-src", "style")):
        content = HTML.split(f"<{element}>", 1)[1].split(f"</{element}>", 1)[0]
        assert directives[directive] == f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
    assert {name: directives[name] for name in ("default-src", "base-uri", "form-action")} == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_is_accessible() -> None:
    page = Page(HTML)

    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in page.elements if tag == "th")
    assert page.count("table") == page.count("caption")
    assert ("html", {"lang": "en"}) in page.elements
    # What needs the script is not there without it.
    assert ["hidden" in attributes for tag, attributes in page.elements if tag == "form"] == [True]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2, "contrast ratio")."""

    def luminance(colour: str) -> float:
        channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_all_text_has_enough_contrast(scheme: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", HTML, re.DOTALL)
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", blocks[scheme]))

    for ground in ("ground", "raised"):
        for text in ("text", "quiet", "link", "good", "change", "bad", "stopped"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


# Clicks as a reader would, and writes down what is seen.
_PROBE = """
const seen = {};
const rows = () => Array.from(document.querySelectorAll("#targets-table tbody tr")).filter((row) => !row.hidden);
const names = () => rows().map((row) => row.cells[1].textContent);
const type = (id, value, event) => {
  const field = document.getElementById(id);
  field.value = value;
  field.dispatchEvent(new Event(event));
};
seen.rows = rows().length;
const heading = document.querySelectorAll("#targets-table thead th")[1];
heading.querySelector("button").click();
seen.ascending = [heading.getAttribute("aria-sort"), names()[0]];
heading.querySelector("button").click();
seen.descending = [heading.getAttribute("aria-sort"), names()[0]];
type("filter-status", "failed", "change");
seen.failed = rows().length;
seen.count = document.getElementById("filter-count").value;
type("filter-status", "", "change");
type("filter-text", "SCRIPT alert", "input");
seen.filtered = rows().length;
type("filter-text", "", "input");
document.querySelector(".total.failed").click();
seen.total = [rows().length, document.querySelectorAll(".total[aria-current]").length];
location.hash = "#target-1";
window.dispatchEvent(new Event("hashchange"));
seen.linked = rows().length;
const wave = document.querySelector("select[data-column=Wave]");
wave.value = "rest";
wave.dispatchEvent(new Event("change"));
seen.wave = rows().length;
document.querySelector("button[type=reset]").click();
seen.failures = document.querySelectorAll("#failures .cause").length;
seen.sets = document.querySelectorAll(".change-set").length;
seen.destructive = document.querySelectorAll(".change-set.destructive").length;
seen.alerts = typeof window.alerted;
seen.open = document.querySelectorAll(".change[open]").length;
window.dispatchEvent(new Event("beforeprint"));
seen.closed = document.querySelectorAll("details:not([open])").length;
const visible = Array.from(document.querySelectorAll("body *")).filter((element) => element.checkVisibility());
seen.width = innerWidth;
const leaves = (element) => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(".spoken");
seen.wide = visible.filter(leaves)
  .map((element) => element.outerHTML.slice(0, 80));
seen.scrolls_sideways = document.documentElement.scrollWidth > innerWidth;
seen.unreachable = visible.filter((element) =>
  (element.matches("a, button, input, select, summary") || element.scrollHeight > element.clientHeight + 40
    && getComputedStyle(element).overflowY === "auto") && element.tabIndex !== 0 && element.id !== "contents"
).map((element) => element.outerHTML.slice(0, 80));
parent.postMessage(JSON.stringify(seen), "*");
"""


@pytest.mark.parametrize("width", [1280, 400])
def test_chromium_shows_the_page(browse: Callable[..., tuple[str, list[str]]], width: int) -> None:
    digest = b64encode(sha256(_PROBE.encode()).digest()).decode()
    page = HTML.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    page = page.replace("</body>", f"<script>{_PROBE}</script></body>")

    content, console = browse(page, width)

    assert console == []
    [seen] = [attributes["data-seen"] for tag, attributes in Page(content).elements if tag == "body"]
    assert json.loads(seen or "") == {
        "rows": 14,
        "ascending": ["ascending", "000000000001"],
        "descending": ["descending", "000000000015"],
        "failed": 2,
        "count": "2 of 14",
        "filtered": 2,
        "total": [2, 1],
        "linked": 14,
        "wave": 2,
        "failures": 2,
        "sets": 2,
        "destructive": 1,
        "alerts": "undefined",
        "open": 3,
        "closed": 0,
        "width": width,
        "wide": [],
        "scrolls_sideways": False,
        "unreachable": [],
    }


def test_chromium_would_tell_of_a_foreign_script_or_request(browse: Callable[..., tuple[str, list[str]]]) -> None:
    foreign = '<script>window.alerted = 1</script><img src="https://example.com/x.png">'

    _, console = browse(HTML.replace("</body>", f"{foreign}</body>"))

    assert [word for line in console for word in ("script", "image") if f"{word} " in line.lower()]
    assert len(console) == 2


def test_half_a_character_is_spelled_out() -> None:
    """A lone surrogate comes from an escape in somebody's JSON, or from bytes that are no UTF-8."""
    half = "half \ud800\udc80"
    change = ResourceChange("update", f'a.b["{half}"]', (AttributeChange(half, {half: [half]}, half),))
    results = [
        TargetResult.build(target(half, number=1), Status.CHANGES, Step.PLAN, FOUND, ChangeSet((change,))),
        TargetResult.build(target(half, number=2), Status.FAILED, Step.PLAN, failure=Failure("machine", half, (half,))),
        TargetResult.build(target(half, number=3), Status.NOT_STARTED, Step.APPLY, reason=half),
    ]
    others = [TargetResult.build(target("x", number=number), Status.NO_CHANGES, Step.PLAN) for number in range(4, 64)]

    for summary in (summary_of(*results), summary_of(*results, *others)):
        for report in REPORTS.values():
            text = report(summary)
            assert "ud800" in text
            assert text.encode() == text.encode("utf-8", "backslashreplace")
        assert Summary.model_validate_json(summary.to_json()).targets[0].account_name == r"half \ud800\udc80"


# --- The command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A run of which only the summary was kept."""
    folder = tmp_path / "runs" / "20261121T220000Z-abcd"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(HOSTILE_SUMMARY.to_json(), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", [name for name in REPORTS if name != "table"])
def test_a_report_is_printed(saved: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command(["report", saved.name, "--runs", str(saved.parent), "--format", name])

    assert code == ExitCode.DONE
    commands = Commands((PROGRAM,), os.path.relpath(saved))
    assert capsys.readouterr().out == REPORTS[name](HOSTILE_SUMMARY, commands)


def test_the_table_is_printed(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["report", str(saved)]) == ExitCode.DONE

    assert "14 targets: 9 changes, 1 applied, 2 failed, 1 not started, 1 unfinished" in capsys.readouterr().out


def test_a_report_is_written_for_its_owner(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.html"

    assert run_command(["report", str(saved), "--format", "html", "--output", str(path)]) == ExitCode.DONE

    run = os.path.relpath(saved)
    assert capsys.readouterr().out.splitlines() == [
        f"Report: {path}",
        f"Next, to complete this run: session-manager-fleet resume {run}",
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    commands = Commands((PROGRAM,), run)
    assert path.read_text(encoding="utf-8") == REPORTS["html"](HOSTILE_SUMMARY, commands)


def test_a_run_that_died_is_reported_from_its_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done, torn, waiting = (target(name, number=number) for number, name in enumerate(["Done", "Torn", "Waiting"], 1))
    folder = RunFolder.create(tmp_path)
    folder.begin(
        Beginning(
            command="apply",
            organization_id="o-exampleorgid",
            configuration_sha256="ab" * 32,
            targets=tuple(TargetKey.of(each) for each in (done, torn, waiting)),
        )
    )
    folder.finished(TargetResult.build(done, Status.CHANGES, Step.PLAN, FOUND, DESTRUCTIVE))
    folder.started(torn, Step.APPLY, 1)
    with (folder.path / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"schema_version":1,"event":"fin')

    assert run_command(["report", folder.run_id, "--runs", str(tmp_path), "--format", "json"]) == ExitCode.DONE

    summary = Summary.model_validate_json(capsys.readouterr().out)
    assert [(entry.account_name, entry.status) for entry in summary.targets] == [
        ("Done", Status.CHANGES),
        ("Torn", Status.UNFINISHED),
        ("Waiting", Status.NOT_STARTED),
    ]
    assert [each.change_set for each in summary.change_sets] == [DESTRUCTIVE]
    assert not summary.finished
    for name in REPORTS:
        assert "unfinished" in REPORTS[name](summary)


@pytest.mark.parametrize("name", REPORTS)
def test_a_reader_may_stop_reading(saved: Path, name: str) -> None:
    script = Path(__file__).parents[3] / "scripts" / "rollout.py"
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, str(script), "report", str(saved), "--format", name],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)

    assert (ended.returncode, ended.stderr) == (ExitCode.DONE, b"")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "absent"], "There is no run here"),
        (["report", "absent", "--format", "pdf"], 'Unknown format "pdf"; use table, json, csv, markdown, junit, html.'),
    ],
)
def test_what_cannot_be_reported_is_refused(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command([*arguments, "--runs", str(tmp_path)]) == ExitCode.INVALID_INPUT

    assert message in capsys.readouterr().err.replace("\n", " ")
