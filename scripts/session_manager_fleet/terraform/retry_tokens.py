"""Retry tokens and marks of applies: they keep a plan from showing no changes although the preferences are old.

Terraform keeps the input of a failed update in its state, so the next plan shows no changes. The retry token of a
target, a number that grows with each failure, becomes part of that input (`preferences.revision`), so that the next
plan invokes the function again. An apply that has begun leaves a mark before it changes anything, and removes it once
the live document is as applied: where it could not store its token, or was killed, plans read the document until then.
A token and a mark are the names of small objects beside the states: one listing reads them all.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import AccessError
from session_manager_fleet.settings import EffectiveSettings
from session_manager_fleet.terraform.backend import StateBackend

_APPLYING = "applying"


def read_retry_tokens(backend: StateBackend, target_key: str = "") -> dict[str, int]:
    """Read the retry tokens of all targets, or of one, by the key of the target; targets without one are missing.

    Raises:
        AccessError: The state bucket cannot be listed.
    """
    return read_revisions(backend, target_key)[0]


def read_revisions(backend: StateBackend, target_key: str = "") -> tuple[dict[str, int], set[str]]:
    """Read the retry tokens, and the keys of the targets whose last apply left its mark.

    Args:
        backend: Where the states are.
        target_key: Key of the only target to read; empty for all.

    Raises:
        AccessError: The state bucket cannot be listed.
    """
    tokens: dict[str, int] = {}
    applying: set[str] = set()
    for name in _listed(backend, target_key):
        target, _, last = name.rpartition("/")
        if last == _APPLYING:
            applying.add(target)
        elif last.isascii() and last.isdecimal():
            tokens[target] = max(tokens.get(target, 0), int(last))
    return tokens, applying


def _listed(backend: StateBackend, under: str) -> Iterator[str]:
    prefix = _prefix(backend)
    with translated_errors(f"list {prefix} in the state bucket {backend.bucket}"):
        listing = backend.client().get_paginator("list_objects_v2")
        for page in listing.paginate(Bucket=backend.bucket, Prefix=prefix + under):
            for entry in page.get("Contents", []):
                yield entry["Key"].removeprefix(prefix)


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
    _store(backend, f"{target_key}/{token}", reason)


def mark_apply(backend: StateBackend, target_key: str) -> None:
    """Mark that an apply of a target begins, before it changes anything.

    Raises:
        AccessError: The state bucket cannot be written to.
    """
    _store(backend, f"{target_key}/{_APPLYING}", "an apply has begun, and its result is not known yet")


def unmark_apply(backend: StateBackend, target_key: str) -> None:
    """Remove the mark of an apply whose result is known; where that is not allowed, plans go on reading the result."""
    key = f"{_prefix(backend)}{target_key}/{_APPLYING}"
    with suppress(AccessError), translated_errors(f"remove {key} from the state bucket {backend.bucket}"):
        backend.client().delete_object(Bucket=backend.bucket, Key=key)


def _store(backend: StateBackend, name: str, reason: str) -> None:
    key = f"{_prefix(backend)}{name}"
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
