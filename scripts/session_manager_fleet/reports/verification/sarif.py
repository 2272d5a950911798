"""A verification as SARIF 2.1.0, for GitHub code scanning and other viewers of findings.

See https://docs.oasis-open.org/sarif/sarif/v2.1.0/. A result has no place in a file but in an account and region, which
is its logical location; code scanning also demands a file, and gets organization.yaml, which decides about all targets.
"""

import hashlib
import json
from typing import Any

from session_manager_fleet.reports.commands import PROGRAM
from session_manager_fleet.reports.safe_text import json_for_logs, visible
from session_manager_fleet.verify import (
    CheckDescription,
    Severity,
    Verdict,
    Verification,
    VerifiedCheck,
    VerifiedTarget,
)

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
# GitHub sorts results by this number (https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning).
_SCORES = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.0"}
_BASELINES = {"new": "new", "open": "unchanged"}


def sarif(verification: Verification) -> str:
    """Return a log with one run; checks that could not run are notifications, so that no gap looks like a pass."""
    rules = {check.id: number for number, check in enumerate(verification.checks)}
    wrong = [(target, check) for target in verification.targets for check in target.checks]
    run = {
        "tool": {
            "driver": {
                "name": PROGRAM,
                "semanticVersion": verification.versions.get(PROGRAM, "0.0.0"),
                "rules": [_rule(check) for check in verification.checks],
            }
        },
        "automationDetails": {"id": f"{PROGRAM}/{verification.organization_id}/{verification.run_id}"},
        "invocations": [
            {
                "executionSuccessful": not _unread(verification),
                "exitCode": verification.exit_code,
                "startTimeUtc": f"{verification.started_at:%Y-%m-%dT%H:%M:%SZ}",
                "endTimeUtc": f"{verification.finished_at:%Y-%m-%dT%H:%M:%SZ}",
                "toolExecutionNotifications": _unread(verification),
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": [
            _result(target, check, rules[check.name]) for target, check in wrong if check.verdict is Verdict.FINDING
        ],
    }
    return json_for_logs(json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)) + "\n"


def _rule(check: CheckDescription) -> dict[str, Any]:
    return {
        "id": check.id,
        "shortDescription": {"text": _sentence(check.what)},
        "fullDescription": {"text": _sentence(check.why)},
        "help": {"text": _sentence(check.why)},
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
        "properties": {"security-severity": _SCORES[check.severity], "tags": ["security", *check.controls]},
    }


def _result(target: VerifiedTarget, check: VerifiedCheck, rule: int) -> dict[str, Any]:
    severity = check.severity or Severity.MEDIUM
    cure = " ".join(filter(None, [check.fix, check.command]))
    return {
        "ruleId": check.name,
        "ruleIndex": rule,
        "level": _LEVELS[severity],
        "message": {"text": visible(f"{target.account_name} ({target.key}): {check.message} {cure}".strip())},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": "organization.yaml"}, "region": {"startLine": 1}},
                "logicalLocations": [_place(target)],
            }
        ],
        "partialFingerprints": {"targetAndCheck/v1": _fingerprint(target, check)},
        **({"baselineState": _BASELINES[check.history]} if check.history else {}),
        # All results have it, or none (3.27.23): an empty list says that the finding is not suppressed.
        "suppressions": list(map(_suppression, check.exceptions)),
        "properties": {"severity": severity.value, "evidence": list(map(visible, check.evidence))},
    }


def _suppression(exception: str) -> dict[str, str]:
    """Return an exception of the register, which explains a finding: it was accepted there, outside of any source."""
    return {"kind": "external", "status": "accepted", "justification": visible(exception)}


def _unread(verification: Verification) -> list[dict[str, Any]]:
    texts = [
        (target, f"{check.name}: {check.message}")
        for target in verification.targets
        for check in target.checks
        if check.verdict is Verdict.NOT_CHECKED
    ]
    texts += [(target, target.failure) for target in verification.targets if target.failure]
    return [
        {
            "level": "error",
            "message": {"text": visible(text)},
            "locations": [{"logicalLocations": [_place(target)]}],
        }
        for target, text in texts
    ]


def _place(target: VerifiedTarget) -> dict[str, str]:
    name = visible(target.account_name) or target.account_id
    return {"name": name, "fullyQualifiedName": target.key, "kind": "resource"}


def _fingerprint(target: VerifiedTarget, check: VerifiedCheck) -> str:
    return hashlib.sha256(f"{target.key}/{check.name}".encode()).hexdigest()


def _sentence(text: str) -> str:
    """Return a description as a sentence."""
    shown = visible(text)
    return shown if shown.endswith(".") else f"{shown[:1].upper()}{shown[1:]}."
