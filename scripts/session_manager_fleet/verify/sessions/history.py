"""Read the sessions of a target: from Systems Manager, active and history, and from CloudTrail's event history."""

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import AccessError
from session_manager_fleet.targets import Reader

# StartSession without a document uses this one, whatever `names.document` is.
DEFAULT_DOCUMENT = "SSM-SessionManagerRunShell"
# No session is longer (botocore ssm.MaxSessionDuration); Systems Manager forgets ended ones after 30 days.
LONGEST = datetime.timedelta(minutes=1440)
_FAILED = "Failed"


@dataclass(frozen=True)
class Started:
    """A session, by what Systems Manager and CloudTrail say.

    Attributes:
        session_id: Its id.
        node: Id of the managed node.
        user: ARN of the caller.
        document: Name or ARN of its document.
        started_at: When it began.
        ended_at: When it ended, or None.
        active: Whether it is active.
        failed: Whether it failed to start.
        reason: Reason that the user gave.
        details: What Systems Manager says about it.
        source_address: From CloudTrail.
        in_cloudtrail: Whether CloudTrail holds its event.
    """

    session_id: str
    node: str
    user: str
    document: str
    started_at: datetime.datetime
    ended_at: datetime.datetime | None = None
    active: bool = False
    failed: bool = False
    reason: str = ""
    details: str = ""
    source_address: str = ""
    in_cloudtrail: bool = False


@dataclass(frozen=True)
class History:
    """The sessions of a target by id, and what could not be read."""

    sessions: Mapping[str, Started]
    problems: tuple[str, ...] = ()


def read_history(reader: Reader, region: str, since: datetime.datetime, session_id: str = "") -> History:
    """Return the sessions that began after a time, or the one with an id.

    An event may take 15 minutes to get into CloudTrail's event history, so each source completes the other.
    """
    found: dict[str, Started] = {}
    problems = []
    try:
        with translated_errors(f"read the sessions in {region} (ssm:DescribeSessions)"):
            for session in _described(reader, region, since, session_id):
                found[session.session_id] = session
    except AccessError as error:
        problems.append(str(error))
    try:
        with translated_errors(f"read who started sessions in {region} (cloudtrail:LookupEvents)"):
            for event in _events(reader, region, since):
                if not session_id or event.session_id == session_id:
                    found[event.session_id] = _merged(found.get(event.session_id), event)
    except AccessError as error:
        problems.append(str(error))
    return History(found, tuple(problems))


def _described(reader: Reader, region: str, since: datetime.datetime, session_id: str) -> Iterator[Started]:
    after = {"key": "InvokedAfter", "value": f"{since:%Y-%m-%dT%H:%M:%SZ}"}
    filters = [{"key": "SessionId", "value": session_id}] if session_id else [after]
    for state in ("Active", "History"):
        for each in reader.pages("ssm", region, "describe_sessions", "Sessions", State=state, Filters=filters):
            yield Started(
                session_id=each["SessionId"],
                node=each.get("Target", ""),
                user=each.get("Owner", ""),
                document=each.get("DocumentName") or DEFAULT_DOCUMENT,
                started_at=each["StartDate"],
                ended_at=each.get("EndDate"),
                active=state == "Active",
                failed=each.get("Status") == _FAILED,
                reason=each.get("Reason") or "",
                details=each.get("Details") or "",
            )


def _events(reader: Reader, region: str, since: datetime.datetime) -> Iterator[Started]:
    """Yield the sessions whose start CloudTrail recorded; refused calls have no response."""
    named = [{"AttributeKey": "EventName", "AttributeValue": "StartSession"}]
    for entry in reader.pages("cloudtrail", region, "lookup_events", "Events", LookupAttributes=named, StartTime=since):
        started = of_event(json.loads(entry["CloudTrailEvent"]))
        if started:
            yield started


def of_event(event: Mapping[str, Any]) -> Started | None:
    """Return the session of a CloudTrail event; None for a refused call, and for another service's StartSession."""
    asked, answered = event.get("requestParameters") or {}, event.get("responseElements") or {}
    if event.get("eventSource") != "ssm.amazonaws.com" or "sessionId" not in answered:
        return None
    return Started(
        session_id=answered["sessionId"],
        node=asked.get("target", ""),
        user=event.get("userIdentity", {}).get("arn", ""),
        document=asked.get("documentName") or DEFAULT_DOCUMENT,
        started_at=datetime.datetime.fromisoformat(event["eventTime"].replace("Z", "+00:00")),
        reason=asked.get("reason") or "",
        source_address=event.get("sourceIPAddress", ""),
        in_cloudtrail=True,
    )


def _merged(described: Started | None, event: Started) -> Started:
    if described is None:
        return event
    return replace(
        described,
        user=event.user or described.user,
        document=event.document if described.document == DEFAULT_DOCUMENT else described.document,
        source_address=event.source_address,
        in_cloudtrail=True,
    )
