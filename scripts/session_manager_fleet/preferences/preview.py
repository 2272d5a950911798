"""Preview what a plan does to an existing document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from session_manager_fleet.changes import UNKNOWN
from session_manager_fleet.preferences.compare import _PLACEHOLDER, _READ_SECONDS, DocumentChange, _compare, _shown
from session_preferences.aws import Budget

if TYPE_CHECKING:
    import boto3


# The root's output that says what the function was asked to bring about.
PREFERENCES_OUTPUT = "preferences"


# What becomes of the document when its management ends, by the setting `on_destroy`.
_ON_DESTROY = {
    "restore": "as it was before it was managed (on_destroy = restore)",
    "reset": "the service's defaults, without logs and encryption (on_destroy = reset)",
    "retain": "as it is (on_destroy = retain)",
}


_INVOCATION_TYPE = "aws_lambda_invocation"


def planned_preferences(plan: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a plan (`terraform show -json`) wants the preferences to be; None where it does not manage them.

    A value that terraform will know only after the apply is `plans.UNKNOWN`.
    """
    change = plan.get("output_changes", {}).get(PREFERENCES_OUTPUT, {})
    wanted, unknown = change.get("after"), change.get("after_unknown")
    if not isinstance(wanted, dict) or unknown is True:
        return None
    marks = unknown.get("preferences", {}) if isinstance(unknown, dict) else {}
    later = {name: UNKNOWN for name, mark in marks.items() if mark is True}
    return {**wanted, "preferences": {**wanted["preferences"], **later}}


def writes_preferences(plan: Mapping[str, Any]) -> bool:
    """Tell whether a plan (`terraform show -json`) calls the function that writes the preferences."""
    return any(_invocations(plan, "create", "update"))


def _invocations(plan: Mapping[str, Any], *actions: str) -> Iterator[Mapping[str, Any]]:
    """Return what a plan does to the function's calls, where it is one of these actions."""
    for entry in plan.get("resource_changes", []):
        if (
            entry.get("mode") == "managed"
            and entry["type"] == _INVOCATION_TYPE
            and set(actions) & set(entry["change"]["actions"])
        ):
            yield entry


def preview_adoption(session: boto3.Session, region: str, wanted: Mapping[str, Any]) -> tuple[DocumentChange, ...]:
    """Return what an existing document would lose or change; nothing where there is no document yet.

    Args:
        session: In the account.
        region: The region.
        wanted: As `planned_preferences` returns it.

    Raises:
        VerificationError: The live document cannot be compared, so that the function would fail.
        AccessError: It cannot be read.
    """
    preferences = {name: _PLACEHOLDER if value == UNKNOWN else value for name, value in wanted["preferences"].items()}
    found = _compare(session, region, {**wanted, "preferences": preferences}, Budget(_READ_SECONDS))
    exists = found["latest_version"] is not None
    return tuple(_shown(item) for item in found["changes"]) if exists else ()


def preview_destruction(plan: Mapping[str, Any]) -> tuple[DocumentChange, ...]:
    """Return what becomes of the document when a plan (`terraform show -json`) to destroy everything is applied.

    What counts is what the function was last told, not what the settings say now.
    """
    return tuple(
        DocumentChange(told["document"], "managed", _ON_DESTROY[told["on_destroy"]])
        for entry in _invocations(plan, "delete")
        for told in [json.loads(entry["change"]["before"]["input"])]
    )
