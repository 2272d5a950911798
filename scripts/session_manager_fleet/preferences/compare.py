"""Compare the live preferences document with the expected one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import boto3
from botocore.config import Config
from pydantic import ConfigDict, Field, JsonValue

from session_manager_fleet.aws import CLIENT_CONFIG
from session_manager_fleet.errors import AccessError, FleetError
from session_preferences.aws import Budget, caller
from session_preferences.document import Change
from session_preferences.errors import AwsError, PreferencesError
from session_preferences.reconcile import reconcile
from session_preferences.request import parse_event

READ_SECONDS = 120
# The function's code retries throttled calls by itself; these retries are for the network, as in the function.
_CLIENT_CONFIG = CLIENT_CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 3}))
# Right after a write AWS may still answer with the state before it.
_ATTEMPTS = 3


@dataclass(frozen=True)
class DocumentChange:
    """A value of an existing document that would be lost or changed when the document is adopted."""

    __pydantic_config__ = ConfigDict(defer_build=True)

    path: str
    """Path in the document, as `inputs.idleSessionTimeout`."""
    before: Annotated[JsonValue, Field(alias="from")]
    """The live value; null if there is none."""
    after: Annotated[JsonValue, Field(alias="to")]
    """The expected value; null if there is none."""


class VerificationError(FleetError):
    """The live preferences differ from the expected ones, or cannot be compared with them.

    Attributes:
        diagnostics: The differences, a sentence each.
    """

    def __init__(self, message: str, diagnostics: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


def document_client(session: boto3.Session, region: str) -> Any:  # noqa: ANN401 - the stubs are for developers only
    """Return the client that reads the document in a region."""
    return session.client("ssm", region_name=region, config=_CLIENT_CONFIG)


def verify_preferences(client: Any, region: str, expected: Mapping[str, Any]) -> None:  # noqa: ANN401
    """Compare the live preferences with those of a request to the function: contents, default version and sharing.

    Args:
        client: For Systems Manager in the region.
        region: Region of the document.
        expected: The request, as `expected_preferences` returns it.

    Raises:
        VerificationError: They differ, or cannot be compared.
        AccessError: The live document cannot be read.
    """
    budget = Budget(READ_SECONDS)
    for attempt in range(_ATTEMPTS):
        _, changes = compare(client, region, expected, budget)
        if not changes:
            return
        if attempt < _ATTEMPTS - 1:
            budget.pause(attempt)
    message = f"The document {expected['document']} in {region} is not what the settings want."
    raise VerificationError(message, [str(change) for change in changes])


def compare(
    client: Any,  # noqa: ANN401
    region: str,
    expected: Mapping[str, Any],
    budget: Budget,
) -> tuple[bool, list[Change]]:
    """Compare the live document with a request by the function's own code, with the permissions of the client.

    Returns:
        Whether the document exists, and the differences.
    """
    try:
        request = parse_event({**expected, "action": "diff"})
        found = reconcile(request, caller(lambda _: client, budget), budget, region)
    except AwsError as error:
        raise AccessError(f"Cannot read the document {expected['document']} in {region}: {error}") from error
    except PreferencesError as error:
        message = f"The document {expected['document']} in {region} cannot be compared: {error}"
        raise VerificationError(message) from error
    changes = [Change(item["path"], item["from"], item["to"]) for item in found["changes"]]
    return found["latest_version"] is not None, changes
