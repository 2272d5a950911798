"""JUnit XML, which CI systems display."""

from __future__ import annotations

import io

from junitparser import Error, Failure as FailedTest, JUnitXml, Skipped, TestCase, TestSuite

from session_manager_fleet.reports.text import change_counts, failure_heading, visible_lines
from session_manager_fleet.run import Status, Summary, TargetResult

# Kinds of failures that say nothing about the target itself, so they are errors and not failures.
_ERRORS = {"access", "input", "machine"}


def junit(summary: Summary) -> str:
    """Return a test suite for each wave, with a test case for each target.

    A failed target is a failure, or an error if the account was not accessible, the input was refused or the machine
    failed. Targets that were not started are skipped. Pending changes are listed in the output and are not a failure.
    Shards that are missing from a merged run are errors in the suite "shards".
    """
    document = JUnitXml(_text(f"{summary.command} {summary.run_id}"))
    for wave in dict.fromkeys(entry.wave for entry in summary.targets):
        suite = TestSuite(_text(wave))
        suite.timestamp = summary.started_at.isoformat()
        suite.add_property("run_id", _text(summary.run_id))
        suite.add_property("organization_id", _text(summary.organization_id))
        suite.add_testcases([_test_case(entry) for entry in summary.targets if entry.wave == wave])
        document.add_testsuite(suite)
    if summary.missing_shards:
        suite = TestSuite("shards")
        suite.add_testcases([_missing(shard) for shard in summary.missing_shards])
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]  # the package types the rest
    content = io.BytesIO()
    document.write(content)
    return content.getvalue().decode() + "\n"


def _missing(shard: str) -> TestCase:
    case = TestCase(name=_text(f"shard {shard}"), classname="shards")
    case.result = [Error("The run of this shard was missing when the runs were merged.", "missing")]
    return case


def _test_case(entry: TargetResult) -> TestCase:
    case = TestCase(
        name=_text(f"{entry.account_id} {entry.region}"), classname=_text(entry.account_name), time=entry.seconds
    )
    if entry.failure is not None:
        kind = Error if entry.failure.kind in _ERRORS else FailedTest
        result = kind(_text(failure_heading(entry)), entry.failure.kind)
        result.text = _text("\n".join((entry.failure.message, *entry.failure.diagnostics)))
        case.result = [result]
    elif entry.status is Status.UNFINISHED:
        case.result = [
            Error("The target was started and has no result: the run is still going on, or crashed.", "unfinished")
        ]
    elif entry.status is Status.NOT_STARTED:
        case.result = [Skipped(_text(entry.reason or ""))]
    if entry.status is Status.CHANGES:
        case.system_out = _text(f"Changes {change_counts(entry)} (change set {entry.fingerprint})")
    return case


def _text(text: str) -> str:
    """Return a text without characters that XML does not allow."""
    return "\n".join(visible_lines(text))
