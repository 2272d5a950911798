"""Preview the effect of a plan on an existing preferences document."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import boto3
from pydantic import JsonValue

from session_manager_fleet.changes import SENSITIVE, UNKNOWN
from session_manager_fleet.preferences.compare import READ_SECONDS, DocumentChange, compare, document_client
from session_preferences.aws import Budget
from session_preferences.document import Change

# The root's output with the request to the function.
PREFERENCES_OUTPUT = "preferences"

# State of the document after a destroy, by the setting `on_destroy`.
_ON_DESTROY = {
    "restore": "as it was before it was managed (on_destroy = restore)",
    "reset": "the service's defaults, without logs and encryption (on_destroy = reset)",
    "retain": "as it is (on_destroy = retain)",
}
# What becomes of an existing document, as a heading of its preview.
_HEADINGS = {
    "restore": "Restored: the existing preferences",
    "reset": "Reset: the existing preferences",
    "retain": "Left as they are: the existing preferences",
}
_ADOPTED, _CHANGED = "Adopted: existing preferences, and what they lose or change", "Changed: existing preferences"
INVOCATION_TYPE = "aws_lambda_invocation"
_NAMED_BY_DOCUMENT = {"aws_kms_key", "aws_kms_alias", "aws_cloudwatch_log_group", "aws_s3_bucket"}
_NAMES_IN_DOCUMENT = {"kmsKeyId": "key", "cloudWatchLogGroupName": "log group", "s3BucketName": "bucket"}
# A valid value in place of one that terraform knows only after the apply; no real alias has this name.
_KNOWN_AFTER_APPLY = "alias/known-after-apply"


def planned_preferences(plan: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the request to the function in a plan (`terraform show -json`); None if preferences are not managed.

    A value that terraform knows only after the apply is UNKNOWN.
    """
    change = plan.get("output_changes", {}).get(PREFERENCES_OUTPUT, {})
    planned, unknown = change.get("after"), change.get("after_unknown")
    if not isinstance(planned, dict) or unknown is True:
        return None
    marks = unknown.get("preferences", {}) if isinstance(unknown, dict) else {}
    later = {name: UNKNOWN for name, mark in marks.items() if mark is True}
    return {**planned, "preferences": {**planned["preferences"], **later}}


def writes_preferences(plan: Mapping[str, Any]) -> bool:
    """Return whether a plan (`terraform show -json`) invokes the function that writes the preferences."""
    return any(_invocations(plan, "create", "update"))


def preferences_before(plan: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the preferences that a plan changes, as the last apply wrote them; None if there are none."""
    for entry in _invocations(plan, "update", "create"):
        before = (entry["change"].get("before") or {}).get("input")
        preferences = json.loads(before).get("preferences") if isinstance(before, str) else None
        if isinstance(preferences, dict):
            return preferences
    return None


def _invocations(plan: Mapping[str, Any], *actions: str) -> Iterator[Mapping[str, Any]]:
    """Yield the planned changes of the function's invocations that have one of these actions."""
    for entry in plan.get("resource_changes", []):
        if (
            entry.get("mode") == "managed"
            and entry["type"] == INVOCATION_TYPE
            and set(actions) & set(entry["change"]["actions"])
        ):
            yield entry


def preview_adoption(session: boto3.Session, region: str, planned: Mapping[str, Any]) -> tuple[DocumentChange, ...]:
    """Return the values that an existing document would lose or change; empty if there is no document yet.

    Raises:
        VerificationError: The live document cannot be compared, so the function would fail.
        AccessError: The live document cannot be read.
    """
    values = planned["preferences"].items()
    comparable = {name: _KNOWN_AFTER_APPLY if value == UNKNOWN else value for name, value in values}
    exists, changes = compare(
        document_client(session, region), region, {**planned, "preferences": comparable}, Budget(READ_SECONDS)
    )
    return tuple(_shown(change) for change in changes) if exists else ()


def _shown(change: Change) -> DocumentChange:
    # A change that may hold a secret has no values in its text; then it gets none here.
    if str(change) == change.path:
        return DocumentChange(change.path, SENSITIVE, SENSITIVE)
    before, after = cast("tuple[JsonValue, JsonValue]", (change.before, change.after))
    return DocumentChange(change.path, before, UNKNOWN if after == _KNOWN_AFTER_APPLY else after)


def preview_destruction(plan: Mapping[str, Any]) -> tuple[DocumentChange, ...]:
    """Return the state of the document after a plan (`terraform show -json`) that ends its management is applied.

    The function acts on its last input, not on the current settings.
    """
    gone = _destroyed_names(plan)
    return tuple(
        DocumentChange(request["document"], "managed", _after_destruction(request, gone))
        for entry in _invocations(plan, "delete")
        for request in [json.loads(entry["change"]["before"]["input"])]
    )


def heading_of(preview: Sequence[DocumentChange], *, managed: bool) -> str:
    """Return what happens to an existing document: adopted, changed, restored, reset, or left as it is.

    Args:
        preview: The preview of a plan.
        managed: Whether the document was managed before.
    """
    told = str(preview[0].after) if preview else ""
    becomes = [_HEADINGS[name] for name, words in _ON_DESTROY.items() if told.startswith(words)]
    return becomes[0] if becomes else _CHANGED if managed else _ADOPTED


def _destroyed_names(plan: Mapping[str, Any]) -> set[str]:
    """Return ids, ARNs and names of the keys, aliases, log groups and buckets that a plan destroys."""
    deleted = [
        entry["change"].get("before") or {}
        for entry in plan.get("resource_changes", [])
        if entry.get("type") in _NAMED_BY_DOCUMENT and "delete" in entry["change"]["actions"]
    ]
    return {str(before[name]) for before in deleted for name in ("arn", "bucket", "key_id", "name") if before.get(name)}


def _after_destruction(request: Mapping[str, Any], gone: set[str]) -> str:
    text = _ON_DESTROY[request["on_destroy"]]
    preferences = request.get("preferences", {})
    named = [what for name, what in _NAMES_IN_DOCUMENT.items() if preferences.get(name) in gone]
    if request["on_destroy"] == "retain" and named:
        text += f"; it names a {' and a '.join(named)} that this plan destroys: no session can start"
    return text
