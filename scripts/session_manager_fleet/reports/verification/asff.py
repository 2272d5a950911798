"""A verification in the AWS Security Finding Format, for BatchImportFindings of Security Hub.

See https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html. A JSON array, of which
Security Hub takes 100 findings in a call, made by the account of the findings; docs/verify.md has the commands. A
check that is well is a finding that passed: it updates that of an earlier run, which has the same id.
"""

import datetime
import json
from typing import Any

from session_manager_fleet.aws import partitions
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

_TYPE = "Software and Configuration Checks/AWS Security Best Practices"
_STATUSES = {Verdict.OK: "PASSED", Verdict.FINDING: "FAILED", Verdict.NOT_CHECKED: "WARNING"}
# Lengths of https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html.
_TITLE, _DESCRIPTION, _CURE, _FIELD = 256, 1024, 512, 2048


def asff(verification: Verification) -> str:
    """Return a finding for every check that applies to its target."""
    described = {check.id: check for check in verification.checks}
    findings = [
        _finding(verification, target, check, described[check.name])
        for target in verification.targets
        for check in target.checks
        if check.verdict in _STATUSES
    ]
    return json_for_logs(json.dumps(findings, indent=2)) + "\n"


def _finding(
    verification: Verification, target: VerifiedTarget, check: VerifiedCheck, described: CheckDescription
) -> dict[str, Any]:
    partition = partitions().get(target.region, "aws")
    product = f"arn:{partition}:securityhub:{target.region}:{target.account_id}:product/{target.account_id}/default"
    severity: Severity = check.severity or described.severity
    cure = " ".join(filter(None, [check.fix, check.command]))
    fields = {
        "ProviderName": PROGRAM,
        "RunId": verification.run_id,
        "OrganizationId": verification.organization_id,
        "Evidence": "; ".join(check.evidence),
        "Exceptions": " ".join(check.exceptions),
    }
    finding = {
        "SchemaVersion": "2018-10-08",
        "Id": f"{target.region}/{target.account_id}/{PROGRAM}/{check.name}",
        "ProductArn": product,
        "GeneratorId": f"{PROGRAM}/{check.name}",
        "AwsAccountId": target.account_id,
        "Types": [_TYPE],
        "FirstObservedAt": _time(check.first_seen or verification.started_at),
        "LastObservedAt": _time(verification.finished_at),
        "CreatedAt": _time(check.first_seen or verification.started_at),
        "UpdatedAt": _time(verification.finished_at),
        "Severity": {"Label": severity.value.upper() if check.is_wrong else "INFORMATIONAL"},
        "Title": _cut(f"Session Manager: {described.what}", _TITLE),
        "Description": _cut(check.message, _DESCRIPTION),
        "Resources": [
            {
                "Type": "AwsAccount",
                "Id": f"AWS::::Account:{target.account_id}",
                "Partition": partition,
                "Region": target.region,
            }
        ],
        "Compliance": {"Status": _STATUSES[check.verdict]},
        "Workflow": {"Status": _workflow(check)},
        "RecordState": "ACTIVE",
        "ProductFields": {name: _cut(value, _FIELD) for name, value in fields.items() if value},
    }
    if described.controls:
        finding["Compliance"]["RelatedRequirements"] = list(described.controls)  # type: ignore[index]
    if cure:
        finding["Remediation"] = {"Recommendation": {"Text": _cut(cure, _CURE)}}
    return finding


def _workflow(check: VerifiedCheck) -> str:
    """Return the status of the work on a finding."""
    if check.is_suppressed:
        return "SUPPRESSED"
    return "NEW" if check.is_wrong else "RESOLVED"


def _time(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _cut(text: str, longest: int) -> str:
    """Return a text that is no longer than Security Hub takes."""
    shown = visible(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
