"""Sessions of Session Manager, and CloudTrail's event history of them, which moto lacks.

The agent's part is played by clients with the credentials of an instance (`Sandbox.instance_session`).
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ssm.models import ssm_backends

from aws_sandbox.api_calls import REPORTED, api_call
from aws_sandbox.call import AwsError, Call, Reply
from aws_sandbox.identity import Identity
from aws_sandbox.pages import page

PREFERENCES_DOCUMENT = "SSM-SessionManagerRunShell"
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeSessions.html
_PAGE_SIZE, _HISTORY_SECONDS = 200, 30 * 24 * 3600
# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
_EVENTS_PAGE_SIZE, _EVENTS_SECONDS = 50, 90 * 24 * 3600
_REPORTED = REPORTED | {("ssm", "StartSession"), ("ssm", "ResumeSession"), ("ssm", "TerminateSession")}
_ACTIVE = {"Connected", "Connecting", "Disconnected", "Terminating"}
# Filters of DescribeSessions that compare a value of the session.
_VALUES = {"Target": "Target", "Owner": "Owner", "SessionId": "SessionId", "Status": "Status"}


class Sessions:
    """The sessions of all accounts and regions.

    Args:
        identity: Tells who makes a call.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._sessions: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self._events: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def operations(self) -> dict[tuple[str, str], Any]:
        """Return the operations by service and name."""
        return {
            ("ssm", "StartSession"): self.start,
            ("ssm", "TerminateSession"): self.terminate,
            ("ssm", "DescribeSessions"): self.describe,
            ("cloudtrail", "LookupEvents"): self.lookup,
        }

    def start(self, call: Call) -> dict[str, Any]:
        """Answer StartSession.

        Raises:
            AwsError: TargetNotConnected: the node is not managed; InvalidDocument: the document does not exist.
        """
        node, document = call.parameters["Target"], call.parameters.get("DocumentName", PREFERENCES_DOCUMENT)
        if node not in _nodes(call):
            raise AwsError("TargetNotConnected", f"{node} is not connected.")
        documents = ssm_backends[call.account_id][call.region]._documents  # noqa: SLF001
        # AWS's own documents, and the preferences of an account that never had any, exist everywhere.
        if not document.startswith("AWS-") and document != PREFERENCES_DOCUMENT and document not in documents:
            raise AwsError("InvalidDocument", f"Document with name {document} does not exist.")
        caller = self._identity.caller(call)
        session_id = f"{caller.arn.rpartition('/')[2]}-{secrets.token_hex(9)[:17]}"
        self._sessions.setdefault((call.account_id, call.region), {})[session_id] = {
            "SessionId": session_id,
            "Target": node,
            "Status": "Connected",
            "StartDate": time.time(),
            "DocumentName": document,
            "Owner": caller.arn,
            "Reason": call.parameters.get("Reason"),
        }
        url = f"wss://ssmmessages.{call.region}.amazonaws.com/v1/data-channel/{session_id}?role=publish_subscribe"
        return {"SessionId": session_id, "TokenValue": secrets.token_urlsafe(32), "StreamUrl": url}

    def terminate(self, call: Call) -> dict[str, Any]:
        """Answer TerminateSession, which is idempotent."""
        found = self._sessions.get((call.account_id, call.region), {}).get(call.parameters["SessionId"])
        if found and found["Status"] in _ACTIVE:
            found.update(Status="Terminated", EndDate=time.time())
        return {"SessionId": call.parameters["SessionId"]}

    def describe(self, call: Call) -> dict[str, Any]:
        """Answer DescribeSessions, the latest first."""
        active, since = call.parameters["State"] == "Active", time.time() - _HISTORY_SECONDS
        found = [
            each
            for each in self._sessions.get((call.account_id, call.region), {}).values()
            if (each["Status"] in _ACTIVE) == active
            and each["StartDate"] >= since
            and all(_passes(each, one["key"], one["value"]) for one in call.parameters.get("Filters", []))
        ]
        size = int(call.parameters.get("MaxResults") or _PAGE_SIZE)
        return page("Sessions", list(reversed(found)), call.parameters.get("NextToken"), size)

    def lookup(self, call: Call) -> dict[str, Any]:
        """Answer LookupEvents, the latest first; it finds the events of sessions and documents only."""
        start = max(_seconds(call.parameters.get("StartTime"), 0.0), time.time() - _EVENTS_SECONDS)
        end = _seconds(call.parameters.get("EndTime"), time.time())
        wanted = {each["AttributeKey"]: each["AttributeValue"] for each in call.parameters.get("LookupAttributes", [])}
        found = [
            each
            for each in self._events.get((call.account_id, call.region), [])
            if start <= each["EventTime"] <= end + 1 and all(each.get(key) == value for key, value in wanted.items())
        ]
        size = int(call.parameters.get("MaxResults") or _EVENTS_PAGE_SIZE)
        return page("Events", list(reversed(found)), call.parameters.get("NextToken"), size)

    def observe(self, call: Call, reply: Reply) -> None:
        """Record a successful call in the event history."""
        if (call.service, call.operation) not in _REPORTED:
            return
        caller = self._identity.caller(call)
        detail = api_call(call, reply, caller)["detail"]
        # CloudTrail never records the token.
        if detail["responseElements"]:
            detail["responseElements"]["tokenValue"] = "Value hidden due to security reasons."
        self._events.setdefault((call.account_id, call.region), []).append(
            {
                "EventId": str(uuid.uuid4()),
                "EventName": call.operation,
                "ReadOnly": "false",
                "AccessKeyId": call.access_key,
                "EventTime": time.time(),
                "EventSource": detail["eventSource"],
                "Username": caller.arn.rpartition("/")[2],
                "Resources": [],
                "CloudTrailEvent": json.dumps(detail),
            }
        )


def _nodes(call: Call) -> set[str]:
    """Return the ids of the managed nodes of the account and region."""
    return {
        instance.id
        for reservation in ec2_backends[call.account_id][call.region].all_reservations()
        for instance in reservation.instances
        if instance.state == "running" and instance.iam_instance_profile
    }


def _passes(session: Mapping[str, Any], key: str, value: str) -> bool:
    """Tell whether a session passes a filter of DescribeSessions."""
    if key == "InvokedAfter":
        return bool(session["StartDate"] >= _seconds(value, 0.0))
    if key == "InvokedBefore":
        return bool(session["StartDate"] < _seconds(value, 0.0))
    return key in _VALUES and session[_VALUES[key]] == value


def _seconds(value: Any, default: float) -> float:  # noqa: ANN401 - a datetime, or a text as filters have it
    """Return a time in seconds since 1970."""
    if value is None:
        return default
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    return float(value.timestamp())
