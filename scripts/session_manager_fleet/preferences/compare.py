"""Compare the live preferences document with the expected one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from botocore.config import Config
from pydantic import ConfigDict, Field, JsonValue

from session_manager_fleet.aws import CLIENT_CONFIG
from session_manager_fleet.changes import SENSITIVE, UNKNOWN
from session_manager_fleet.errors import AccessError, FleetError
from session_preferences.aws import Budget, caller
from session_preferences.document import Change
from session_preferences.errors import AwsError, PreferencesError
from session_preferences.reconcile import reconcile
from session_preferences.request import parse_event

if TYPE_CHECKING:
    import boto3


_READ_SECONDS = 120


# The function's code repeats what was throttled by itself; these are for the network, as in the function.
_CLIENT_CONFIG = CLIENT_CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 3}))


# What AWS answers right after a write may be older than the write.
_LOOKS = 3


@dataclass(frozen=True)
class DocumentChange:
    """A value of an existing document that would be lost or changed when the document is adopted."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    path: str
    """Path in the document, as `inputs.idleSessionTimeout`."""
    before: Annotated[JsonValue, Field(alias="from")]
    """The live value; null if there is none."""
    after: Annotated[JsonValue, Field(alias="to")]
    """The expected value; null if there is none."""


class VerificationError(FleetError):
    """The live preferences are not what they were made to be, or cannot be compared.

    Attributes:
        diagnostics: What differs, a sentence each.
    """

    def __init__(self, message: str, diagnostics: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


def verify_preferences(session: boto3.Session, region: str, wanted: Mapping[str, Any]) -> None:
    """Read the preferences back and compare them with what was applied: contents, default version and sharing.

    Args:
        session: In the account.
        region: The region.
        wanted: What the function was asked to bring about: `document`, `preferences`, `adopt`, `waive`.

    Raises:
        VerificationError: They differ, or cannot be compared.
        AccessError: They cannot be read.
    """
    budget = Budget(_READ_SECONDS)
    for look in range(_LOOKS):
        changes = _compare(session, region, wanted, budget)["changes"]
        if not changes:
            return
        if look < _LOOKS - 1:
            budget.pause(look)
    message = f"The document {wanted['document']} in {region} is not what was applied: somebody else changed it."
    raise VerificationError(message, [str(_change(item)) for item in changes])


def _change(item: Mapping[str, Any]) -> Change:
    return Change(item["path"], item["from"], item["to"])


def _shown(item: Mapping[str, Any]) -> DocumentChange:
    # As text a change shows no value that may be a secret; then neither is one shown here.
    if str(_change(item)) == item["path"]:
        return DocumentChange(item["path"], SENSITIVE, SENSITIVE)
    return DocumentChange(item["path"], item["from"], UNKNOWN if item["to"] == _PLACEHOLDER else item["to"])


def _compare(session: boto3.Session, region: str, wanted: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
    """Ask the function's own code what differs, with the rights of the session."""
    client = session.client("ssm", region_name=region, config=_CLIENT_CONFIG)
    try:
        request = parse_event({**wanted, "action": "diff"})
        return reconcile(request, caller(lambda _: client, budget), budget, region)
    except AwsError as error:
        raise AccessError(f"Cannot read the document {wanted['document']} in {region}: {error}") from error
    except PreferencesError as error:
        raise VerificationError(f"The document {wanted['document']} in {region} cannot be compared: {error}") from error


# Stands for a value that terraform knows only after the apply; nothing is called so.
_PLACEHOLDER = "alias/known-after-apply"
