"""Compare what Terraform cannot see, the live document and the stored settings, with what a target should have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3

from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors
from session_manager_fleet.preferences.compare import READ_SECONDS, compare, document_client
from session_manager_fleet.preferences.expected import expected_preferences
from session_manager_fleet.preferences.stored import (
    ORIGINAL_PARAMETER,
    STORED_PARAMETER,
    stored_differences,
    stored_key,
)
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_preferences.aws import Budget


@dataclass(frozen=True)
class WantedPreferences:
    """The preferences that the function should have written in a target.

    Attributes:
        request: The request to the function, without the key.
        key: Alias or ARN of the session key; empty without one.
        region: Region of the target.
    """

    request: Mapping[str, Any]
    key: str
    region: str


def wanted_preferences(target: Target, values: TargetSettings) -> WantedPreferences | None:
    """Return the preferences that the function should have written; None if preferences are not managed."""
    if not values.preferences.enabled:
        return None
    key = values.preferences.session_key
    name = (key.kms_key_arn or values.names.data_key_alias) if key.enabled else ""
    return WantedPreferences(expected_preferences(target, values, None), name, target.region)


def live_differences(session: boto3.Session, wanted: WantedPreferences) -> list[str]:
    """Return how the live document and the stored settings differ; names only where a value may be a secret.

    A key that does not exist is no difference: Terraform sees it. It may then put back no more than the alias, so
    the document is compared with the key that was stored.

    Raises:
        VerificationError: The live document cannot be compared.
        AccessError: A read is denied.
    """
    region, request = wanted.region, wanted.request
    client, budget = document_client(session, region), Budget(READ_SECONDS)
    names = [STORED_PARAMETER, ORIGINAL_PARAMETER]
    with translated_errors(f"read the parameters {' and '.join(names)} in {region}"):
        answer = client.get_parameters(Names=names)["Parameters"]
    values = {entry["Name"]: entry["Value"] for entry in answer}
    stored, found = values.get(STORED_PARAMETER), [f"{name} does not exist" for name in names if name not in values]
    if wanted.key:
        arn = _key_arn(session, region, wanted.key) or stored_key(stored)
        request = {**request, "preferences": {**request["preferences"], "kmsKeyId": arn or ""}}
    if stored is not None:
        found += [f"{STORED_PARAMETER}: {name}" for name in stored_differences(stored, request)]
    if wanted.key and not arn:
        return found
    _, changes = compare(client, region, request, budget)
    return [*(str(change) for change in changes), *found]


def _key_arn(session: boto3.Session, region: str, key: str) -> str | None:
    """Return the ARN of a key; None if it does not exist."""
    kms = session.client("kms", region_name=region, config=CLIENT_CONFIG)
    with translated_errors(f"read the session key {key} in {region}"):
        try:
            return kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]
        except kms.exceptions.NotFoundException:
            return None
