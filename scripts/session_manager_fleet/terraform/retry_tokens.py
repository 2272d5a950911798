"""Retry tokens: they make terraform invoke the preferences function again after an update that failed.

Terraform keeps the input of a failed update in its state, so the next plan shows no changes. The retry token of a
target, a number that grows with each failure, becomes part of that input (`preferences.revision`), so that the next
plan invokes the function again. A token is the name of a small object beside the states: one listing reads them all.
"""

import json
from dataclasses import replace

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.settings import EffectiveSettings
from session_manager_fleet.terraform.backend import StateBackend


def read_retry_tokens(backend: StateBackend, target_key: str = "") -> dict[str, int]:
    """Read the retry tokens of all targets, or of one, by the key of the target; targets without one are missing.

    Raises:
        AccessError: The state bucket cannot be listed.
    """
    prefix = _prefix(backend)
    tokens: dict[str, int] = {}
    with translated_errors(f"list {prefix} in the state bucket {backend.bucket}"):
        listing = backend.client().get_paginator("list_objects_v2")
        for page in listing.paginate(Bucket=backend.bucket, Prefix=prefix + target_key):
            for entry in page.get("Contents", []):
                target, _, token = entry["Key"].removeprefix(prefix).rpartition("/")
                if token.isascii() and token.isdecimal():
                    tokens[target] = max(tokens.get(target, 0), int(token))
    return tokens


def store_retry_token(backend: StateBackend, target_key: str, token: int, reason: str) -> None:
    """Store a retry token of a target.

    Args:
        backend: Where the states are.
        target_key: Key of the target.
        token: The token, greater than the one before.
        reason: Why the function must be invoked again, for people who find the object; nothing secret.

    Raises:
        AccessError: The state bucket cannot be written to.
    """
    key = f"{_prefix(backend)}{target_key}/{token}"
    with translated_errors(f"store {key} in the state bucket {backend.bucket}"):
        backend.client().put_object(
            Bucket=backend.bucket,
            Key=key,
            Body=json.dumps({"reason": reason}).encode(),
            ContentType="application/json",
            **backend.encryption,  # type: ignore[arg-type]
        )


def with_retry_token(settings: EffectiveSettings, token: int) -> EffectiveSettings:
    """Return the settings with the token appended to `preferences.revision`; unchanged for 0, which is no token."""
    if token == 0:
        return settings
    preferences = settings.values.preferences
    revised = preferences.model_copy(update={"revision": f"{preferences.revision}+{token}"})
    return replace(settings, values=settings.values.model_copy(update={"preferences": revised}))


def _prefix(backend: StateBackend) -> str:
    return f"{backend.key_prefix}/revisions/"
