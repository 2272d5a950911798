"""JUnit XML, which CI systems display."""

import io
import re

from junitparser import Attr, Error, Failure as FailedTest, IntAttr, JUnitXml, Skipped, TestCase, TestSuite

from session_manager_fleet.reports.causes import without_local_paths
from session_manager_fleet.reports.safe_text import markup_for_logs, xml_text
from session_manager_fleet.reports.text import change_counts, failure_heading, outcome
from session_manager_fleet.run import Status, Summary, TargetResult

# Kinds of failures that say nothing about the target itself, so they are errors and not failures.
_ERRORS = {"access", "input", "machine"}
# A place in the configuration, as terraform's errors name it.
_PLACE = re.compile(r"(?<![\w./-])((?:[\w-]+/)*[\w-]+\.tf):([0-9]+)\b")


class _Case(TestCase):
    """A test case with the place in the configuration where it failed, which CI systems link to."""

    file = Attr()
    line = IntAttr()


def junit(summary: Summary) -> str:
    """Return a test suite for each wave, with a test case for each target.

    The class of a case is the account, under its organizational unit. A failed target is a failure, or an error if the
    account was not accessible, the input was refused or the machine failed. Targets that were not started are skipped.
    Pending changes are listed in the output and are not a failure. Shards that are missing from a merged run are errors
    in the suite "shards". Paths are relative to the folder of the run.
    """
    document = JUnitXml(xml_text(f"{summary.command} {summary.run_id}"))
    for wave in dict.fromkeys(entry.wave for entry in summary.targets):
        suite = TestSuite(xml_text(wave))
        suite.timestamp = summary.started_at.isoformat()
        suite.add_property("run_id", xml_text(summary.run_id))
        suite.add_property("organization_id", xml_text(summary.organization_id))
        if summary.digest:
            suite.add_property("digest", xml_text(summary.digest))
        suite.add_testcases([_test_case(entry, summary.run_id) for entry in summary.targets if entry.wave == wave])
        document.add_testsuite(suite)
    if summary.missing_shards:
        suite = TestSuite("shards")
        suite.add_testcases([_missing(shard) for shard in summary.missing_shards])
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]  # the package types the rest
    content = io.BytesIO()
    document.write(content)
    return markup_for_logs(content.getvalue().decode()) + "\n"


def _missing(shard: str) -> TestCase:
    case = TestCase(name=xml_text(f"shard {shard}"), classname="shards")
    case.result = [Error("The run of this shard was missing when the runs were merged.", "missing")]
    return case


def _test_case(entry: TargetResult, run_id: str) -> TestCase:
    case = _Case(
        name=xml_text(f"{entry.account_id} {entry.region}"),
        classname=xml_text("/".join(part for part in (entry.ou, entry.account_name) if part)),
        time=entry.seconds,
    )
    if entry.failure is not None:
        kind = Error if entry.failure.kind in _ERRORS else FailedTest
        result = kind(xml_text(failure_heading(entry)), entry.failure.kind)
        lines = "\n".join((entry.failure.message, *entry.failure.diagnostics))
        result.text = xml_text(without_local_paths(lines, run_id))
        case.result = [result]
        if place := _PLACE.search("\n".join(entry.failure.diagnostics)):
            case.file, case.line = place[1], int(place[2])
    elif entry.status is Status.UNFINISHED:
        case.result = [
            Error("The target was started and has no result: the run is still going on, or crashed.", "unfinished")
        ]
    elif entry.status in {Status.NOT_STARTED, Status.SKIPPED}:
        case.result = [Skipped(xml_text(entry.reason or ""))]
    case.system_out = xml_text("\n".join(_output(entry)))
    return case


def _output(entry: TargetResult) -> list[str]:
    lines = [f"{entry.step.value}: {outcome(entry)}"]
    if counts := change_counts(entry):
        lines.append(f"Changes {counts}" + (f" (change set {entry.fingerprint})" if entry.fingerprint else ""))
    if entry.log:
        lines.append(f"Log: {entry.log}")
    return lines
