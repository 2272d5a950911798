"""Wording that the reports of a verification share."""

from collections import Counter

from session_manager_fleet.reports.text import counted
from session_manager_fleet.verify import Severity, Verdict, Verification, VerifiedCheck


def verdict_words(check: VerifiedCheck) -> str:
    """Return a result in words, as `high` or `not checked`."""
    if check.verdict is Verdict.FINDING and check.severity:
        return check.severity.value
    return check.verdict.value.replace("_", " ")


def totals_line(verification: Verification) -> str:
    """Return the number of targets, of checks by verdict, and of findings by severity, in one line."""
    verdicts = ", ".join(
        f"{verification.totals[verdict]:,} {verdict.value.replace('_', ' ')}"
        for verdict in Verdict
        if verification.totals.get(verdict)
    )
    severities = ", ".join(
        f"{verification.severities[each]:,} {each.value}" for each in Severity if verification.severities.get(each)
    )
    line = f"{counted(len(verification.targets), 'target')}: {verdicts or 'nothing was checked'}"
    return f"{line} ({severities})" if severities else line


def comparison_line(verification: Verification) -> str:
    """Return what has changed since earlier runs, in one line; empty without one."""
    if not verification.compared_with:
        return ""
    history = Counter(check.history for target in verification.targets for check in target.checks if check.history)
    parts = [f"{history['new']:,} new", f"{history['open']:,} still open", f"{len(verification.fixed):,} fixed"]
    return f"Since {verification.compared_with}: {', '.join(parts)}."


def history_words(check: VerifiedCheck) -> str:
    """Return whether a finding is new or since when it is open; empty without an earlier run."""
    if check.history == "new":
        return "new"
    return f"open since {check.first_seen:%Y-%m-%d}" if check.history == "open" and check.first_seen else ""
