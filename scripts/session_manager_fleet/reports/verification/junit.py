"""A verification as JUnit XML, which CI systems display."""

from xml.etree.ElementTree import Element, SubElement, tostring

from session_manager_fleet.reports.safe_text import markup_for_logs, xml_text
from session_manager_fleet.reports.verification.text import verdict_words
from session_manager_fleet.verify import Verdict, Verification, VerifiedCheck, VerifiedTarget


def junit(verification: Verification) -> str:
    """Return a test suite for each target, with a test case for each check.

    A finding is a failure. A check that could not run, and a target that could not be entered, are errors. What does
    not apply to a target is skipped. The package that writes the JUnit of a run needs quadratic time for many suites.
    """
    document = Element("testsuites", name=xml_text(f"verify {verification.run_id}".strip()))
    for target in verification.targets:
        suite = SubElement(document, "testsuite", name=xml_text(f"{target.account_id} {target.region}"))
        suite.set("timestamp", verification.started_at.isoformat())
        properties = SubElement(suite, "properties")
        for name, value in (("account_name", target.account_name), ("organizational_unit", target.ou)):
            SubElement(properties, "property", name=name, value=xml_text(value))
        _add_cases(suite, target)
        _count(suite, list(suite.iter("testcase")))
    _count(document, list(document.iter("testcase")))
    text = tostring(document, encoding="unicode")
    return markup_for_logs(f"<?xml version='1.0' encoding='utf-8'?>\n{text}") + "\n"


def _add_cases(suite: Element, target: VerifiedTarget) -> None:
    where = xml_text("/".join(part for part in (target.ou, target.account_name) if part))
    if target.failure:
        case = SubElement(suite, "testcase", name="access", classname=where)
        SubElement(case, "error", message=xml_text(target.failure), type="access")
    for check in target.checks:
        _add_result(SubElement(suite, "testcase", name=xml_text(check.name), classname=where), check)


def _add_result(case: Element, check: VerifiedCheck) -> None:
    message = xml_text(check.message)
    if check.verdict is Verdict.FINDING:
        SubElement(case, "failure", message=message, type=verdict_words(check)).text = _details(check)
    elif check.verdict is Verdict.NOT_CHECKED:
        SubElement(case, "error", message=message, type="not_checked").text = _details(check)
    elif check.verdict is Verdict.NOT_NEEDED:
        SubElement(case, "skipped", message=message)
    else:
        SubElement(case, "system-out").text = message


def _details(check: VerifiedCheck) -> str:
    lines = [check.message, *check.exceptions, check.fix, check.command, *check.evidence]
    return xml_text("\n".join(filter(None, lines)))


def _count(element: Element, cases: list[Element]) -> None:
    element.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
