"""A verification as OCSF 1.5, class Compliance Finding: for Security Lake and other data lakes.

See https://schema.ocsf.io/1.5.0/classes/compliance_finding. The output is a JSON array with an event for each check.
"""

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

_VERSION = "1.5.0"
_CREATE, _UPDATE = (1, "Create"), (2, "Update")
_SEVERITIES = {
    Severity.LOW: (2, "Low"),
    Severity.MEDIUM: (3, "Medium"),
    Severity.HIGH: (4, "High"),
    Severity.CRITICAL: (5, "Critical"),
}
_INFORMATIONAL = (1, "Informational")
# Of the object compliance.
_STATUSES = {Verdict.OK: (1, "Pass"), Verdict.NOT_CHECKED: (2, "Warning"), Verdict.FINDING: (3, "Fail")}
_NEW, _IN_PROGRESS, _SUPPRESSED, _RESOLVED = (1, "New"), (2, "In Progress"), (3, "Suppressed"), (4, "Resolved")
_CLASS, _CATEGORY = (2003, "Compliance Finding"), (2, "Findings")


def ocsf(verification: Verification) -> str:
    """Return the events of all checks that apply to their targets."""
    described = {check.id: check for check in verification.checks}
    events = [
        _event(verification, target, check, described[check.name])
        for target in verification.targets
        for check in target.checks
        if check.verdict in _STATUSES
    ]
    return json_for_logs(json.dumps(events, indent=2)) + "\n"


def _event(
    verification: Verification, target: VerifiedTarget, check: VerifiedCheck, described: CheckDescription
) -> dict[str, Any]:
    moment = _milliseconds(verification.finished_at.timestamp())
    seen = check.first_seen.timestamp() if check.first_seen else verification.started_at.timestamp()
    activity = _UPDATE if check.history == "open" else _CREATE
    severity = _SEVERITIES[check.severity or described.severity] if check.is_wrong else _INFORMATIONAL
    status = _STATUSES[check.verdict]
    state = _state(check)
    type_uid = _CLASS[0] * 100 + activity[0]
    text, partition = visible(check.message), partitions().get(target.region, "aws")
    return {
        "activity_id": activity[0],
        "activity_name": activity[1],
        "category_uid": _CATEGORY[0],
        "category_name": _CATEGORY[1],
        "class_uid": _CLASS[0],
        "class_name": _CLASS[1],
        "type_uid": type_uid,
        "type_name": f"{_CLASS[1]}: {activity[1]}",
        "time": moment,
        "severity_id": severity[0],
        "severity": severity[1],
        "status_id": state[0],
        "status": state[1],
        "message": text,
        **({"comment": visible(" ".join(check.exceptions))} if check.exceptions else {}),
        "metadata": {
            "version": _VERSION,
            "event_code": check.name,
            "product": {
                "name": PROGRAM,
                "vendor_name": PROGRAM,
                "uid": PROGRAM,
                "version": verification.versions.get(PROGRAM, ""),
            },
            "profiles": ["cloud"],
            "tenant_uid": verification.organization_id,
        },
        "finding_info": {
            "uid": uid(target, check),
            "title": visible(described.what),
            "desc": text,
            "types": ["Session Manager"],
            "created_time": _milliseconds(seen),
            "first_seen_time": _milliseconds(seen),
            "last_seen_time": moment,
            "product_uid": PROGRAM,
        },
        "compliance": {
            "control": check.name,
            "standards": list(described.controls) or [PROGRAM],
            "requirements": list(described.controls),
            "status_id": status[0],
            "status": status[1],
            "status_detail": text,
        },
        "remediation": {"desc": visible("\n".join(filter(None, [check.fix, check.command])) or "Nothing to do.")},
        "resources": [
            {
                "uid": f"arn:{partition}:ssm:{target.region}:{target.account_id}:document/SSM-SessionManagerRunShell",
                "name": target.key,
                "type": "Target",
                "region": target.region,
                "cloud_partition": partition,
                "data": {"evidence": list(map(visible, check.evidence))},
            }
        ],
        "cloud": {
            "provider": "AWS",
            "region": target.region,
            "account": {
                "uid": target.account_id,
                "name": visible(target.account_name),
                "type_id": 10,
                "type": "AWS Account",
            },
            "org": {"uid": verification.organization_id, "ou_name": visible(target.ou)},
        },
    }


def _state(check: VerifiedCheck) -> tuple[int, str]:
    """Return the status of a finding."""
    if check.verdict is Verdict.OK:
        return _RESOLVED
    if check.is_suppressed:
        return _SUPPRESSED
    return _IN_PROGRESS if check.history == "open" else _NEW


def uid(target: VerifiedTarget, check: VerifiedCheck) -> str:
    """Return an id that a finding keeps from run to run."""
    return f"{PROGRAM}-{target.account_id}-{target.region}-{check.name}"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
