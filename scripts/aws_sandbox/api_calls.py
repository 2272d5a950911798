"""CloudTrail events of API calls, for EventBridge; moto emits none.

See https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from aws_sandbox.call import Call, Reply
from aws_sandbox.identity import Caller, find_role

Event = dict[str, Any]

# Operations that change an SSM document.
REPORTED = frozenset(
    ("ssm", operation)
    for operation in (
        "CreateDocument",
        "UpdateDocument",
        "DeleteDocument",
        "UpdateDocumentDefaultVersion",
        "ModifyDocumentPermission",
    )
)


def event(detail_type: str, source: str, account_id: str, region: str, detail: Event, *resources: str) -> Event:
    """Return an event in EventBridge's envelope."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account_id,
        "time": _now(),
        "region": region,
        "resources": list(resources),
        "detail": detail,
    }


def api_call(call: Call, reply: Reply, caller: Caller) -> Event:
    """Return the CloudTrail event of a successful call to a service with a JSON protocol."""
    detail = {
        "eventVersion": "1.11",
        "userIdentity": user_identity(caller, call.access_key),
        "eventTime": _now(),
        "eventSource": f"{call.service}.amazonaws.com",
        "eventName": call.operation,
        "awsRegion": call.region,
        "sourceIPAddress": "127.0.0.1",
        "userAgent": call.headers.get("User-Agent", ""),
        "requestParameters": lower_camel(call.parameters),
        "responseElements": lower_camel(json.loads(reply.body or b"{}")) or None,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": call.account_id,
        "eventCategory": "Management",
    }
    return event("AWS API Call via CloudTrail", f"aws.{call.service}", call.account_id, call.region, detail)


def user_identity(caller: Caller, access_key: str) -> Event:
    """Return the `userIdentity` of a user or role session, as in CloudTrail."""
    identity: Event = {
        "type": "AssumedRole" if caller.role_arn else "IAMUser",
        "principalId": caller.id,
        "arn": caller.arn,
        "accountId": caller.account_id,
        "accessKeyId": access_key,
    }
    if not caller.role_arn:
        return {**identity, "userName": caller.arn.rpartition("/")[2]}
    role = find_role(caller.role_arn)
    issuer = {
        "type": "Role",
        "principalId": role.id if role else caller.id.partition(":")[0],
        "arn": caller.role_arn,
        "accountId": caller.account_id,
        "userName": caller.role_arn.rpartition("/")[2],
    }
    attributes = {"creationDate": _now(), "mfaAuthenticated": "false"}
    return {**identity, "sessionContext": {"sessionIssuer": issuer, "attributes": attributes}}


def lower_camel(value: Any) -> Any:  # noqa: ANN401 - anything that JSON can hold
    """Return a value with its member names in CloudTrail's lower camel case: `documentVersion`."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: lower_camel(member) for key, member in value.items()}
    return [lower_camel(member) for member in value] if isinstance(value, list) else value


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
