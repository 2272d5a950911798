"""Retry tokens: what makes terraform call the preferences function again after an update that failed.

Terraform keeps the input of a failed update in its state, so the next plan shows nothing to do. The number of the last
failure, stored for the target, becomes part of that input, and the next plan calls the function again. The numbers are
names of small objects beside the states, so one listing reads them all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from session_manager_fleet.aws import CLIENT_CONFIG, new_session, translated_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from session_manager_fleet.settings import EffectiveSettings


def read_revisions(backend: Mapping[str, str], key_prefix: str, target_key: str = "") -> dict[str, int]:
    """Read the revisions of all targets, or of one, by the key of the target; those without one are missing.

    Args:
        backend: Backend configuration of the states, see `targets.inventory.state_backend`.
        key_prefix: Prefix of the project's objects in the state bucket.
        target_key: Only of this target.

    Raises:
        AccessError: The state bucket cannot be listed.
    """
    prefix = _prefix(key_prefix)
    revisions: dict[str, int] = {}
    with translated_errors(f"list {prefix} in the state bucket {backend['bucket']}"):
        listing = _client(backend).get_paginator("list_objects_v2")
        for page in listing.paginate(Bucket=backend["bucket"], Prefix=prefix + target_key):
            for entry in page.get("Contents", []):
                target, _, number = entry["Key"].removeprefix(prefix).rpartition("/")
                if number.isascii() and number.isdecimal():
                    revisions[target] = max(revisions.get(target, 0), int(number))
    return revisions


def store_revision(backend: Mapping[str, str], key_prefix: str, target_key: str, number: int, reason: str) -> None:
    """Give a target a revision.

    Args:
        backend: Backend configuration of the states.
        key_prefix: Prefix of the project's objects in the state bucket.
        target_key: Key of the target.
        number: The revision, greater than the one before.
        reason: Why, for people who find the object; without anything secret.

    Raises:
        AccessError: The state bucket cannot be written to.
    """
    key = f"{_prefix(key_prefix)}{target_key}/{number}"
    kms_key = backend.get("kms_key_id")
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
    with translated_errors(f"store {key} in the state bucket {backend['bucket']}"):
        _client(backend).put_object(
            Bucket=backend["bucket"],
            Key=key,
            Body=json.dumps({"reason": reason}).encode(),
            ContentType="application/json",
            **encryption,  # type: ignore[arg-type]
        )


def with_revision(settings: EffectiveSettings, number: int) -> EffectiveSettings:
    """Return settings whose revision of the preferences carries the number; with 0 they stay as they are."""
    if number == 0:
        return settings
    preferences = settings.values.preferences
    revised = preferences.model_copy(update={"revision": f"{preferences.revision}+{number}"})
    return replace(settings, values=settings.values.model_copy(update={"preferences": revised}))


def _prefix(key_prefix: str) -> str:
    return f"{key_prefix}/revisions/"


def _client(backend: Mapping[str, str]) -> S3Client:
    return new_session().client("s3", region_name=backend["region"], config=CLIENT_CONFIG)
