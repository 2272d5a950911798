"""Read the preferences back, and compare them with the settings: what a plan says of them may have been replaced."""

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError
from pydantic import ValidationError

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import InputError
from session_manager_fleet.preferences import (
    VerificationError,
    document_client,
    expected_preferences,
    verify_preferences,
)
from session_manager_fleet.run.existing import is_missing, key_of_alias
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_preferences.aws import Budget

_WAIT_SECONDS = 30
# KMS may not know a new alias at once.
_ATTEMPTS = 4


def managed_settings(variables: Mapping[str, Any]) -> TargetSettings | None:
    """Return the settings in rendered variables, also in those of a template of one's own; None without preferences.

    Raises:
        InputError: They are none that the settings allow.
    """
    given = {name: variables[name] for name in TargetSettings.model_fields if name in variables}
    try:
        values = TargetSettings.model_validate(given)
    except ValidationError as error:
        names = ", ".join(sorted({".".join(map(str, each["loc"])) for each in error.errors()}))
        raise InputError(f"The rendered variables are no valid settings: {names}.") from error
    return values if values.preferences.enabled else None


def read_back(session: boto3.Session, target: Target, values: TargetSettings) -> None:
    """Compare the live preferences of a target with its settings.

    Raises:
        VerificationError: They differ, or the session key does not exist.
        AccessError: They cannot be read.
    """
    key_arn = _session_key(session, values)
    client = document_client(session, target.region)
    verify_preferences(client, target.region, expected_preferences(target, values, key_arn))


def _session_key(session: boto3.Session, values: TargetSettings) -> str | None:
    """Return the ARN of the key that encrypts session data, or None without one."""
    key, alias = values.preferences.session_key, values.names.data_key_alias
    if not key.enabled or key.kms_key_arn:
        return key.kms_key_arn
    budget = Budget(_WAIT_SECONDS)
    for attempt in range(_ATTEMPTS):
        with translated_errors(f"read the session key {alias}"):
            try:
                return key_of_alias(session, alias)[0]
            except ClientError as error:
                if not is_missing(error):
                    raise
        if attempt < _ATTEMPTS - 1:
            budget.pause(attempt)
    raise VerificationError(f"The session key {alias} in {session.region_name} does not exist.")
