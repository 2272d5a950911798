"""Locks that terraform holds on states, or left behind: who, since when, and how to release one by hand."""

from __future__ import annotations

import datetime
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from session_manager_fleet.aws import CLIENT_CONFIG, new_session, translated_errors
from session_manager_fleet.terraform.backend import backend_of
from session_manager_fleet.terraform.command import commands_by_hand

if TYPE_CHECKING:
    from session_manager_fleet.settings import OrganizationSettings
    from session_manager_fleet.targets import Target

_SUFFIX = ".tflock"
# Terraform writes nanoseconds, datetime knows microseconds.
_FRACTION = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True)
class Lock:
    """A lock of a target's state, as terraform's S3 backend writes it beside the state.

    Attributes:
        target: The target.
        lock_id: What `terraform force-unlock` wants to know; empty in a lock that cannot be read. Whoever may write
            into the state bucket chooses it, like all that follows.
        who: User and machine of the holder.
        operation: What the holder does, as `OperationTypeApply`.
        since: When the lock was taken, in UTC.
    """

    target: Target
    lock_id: str
    who: str
    operation: str
    since: datetime.datetime

    @property
    def is_terraforms(self) -> bool:
        """Whether the lock has an id as terraform makes them; only then is it the argument of a command."""
        try:
            return str(uuid.UUID(self.lock_id)) == self.lock_id
        except ValueError:
            return False

    def age(self, now: datetime.datetime) -> datetime.timedelta:
        """Return how long it has been held, without fractions of a second."""
        return datetime.timedelta(seconds=int((now - self.since).total_seconds()))


def read_locks(backend: Mapping[str, str], settings: OrganizationSettings, targets: Sequence[Target]) -> list[Lock]:
    """Read the locks of targets, in their order; each region is listed once.

    Args:
        backend: Backend configuration that all states share, see `targets.inventory.state_backend`.
        settings: The organization, for the prefixes of the states.
        targets: The targets.

    Raises:
        AccessError: The state bucket cannot be read.
    """
    bucket = backend["bucket"]
    held: dict[str, datetime.datetime] = {}
    locks = []
    with translated_errors(f"read the locks in the state bucket {bucket}"):
        s3 = new_session().client("s3", region_name=backend["region"], config=CLIENT_CONFIG)
        for region in dict.fromkeys(target.region for target in targets):
            prefix = backend_of(backend, settings, region)["workspace_key_prefix"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
                entries = page.get("Contents", [])
                held |= {entry["Key"]: entry["LastModified"] for entry in entries if entry["Key"].endswith(_SUFFIX)}
        for target in targets:
            prefix = backend_of(backend, settings, target.region)["workspace_key_prefix"]
            key = f"{prefix}/{target.workspace}/{backend['key']}{_SUFFIX}"
            if key in held:
                try:
                    content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
                except s3.exceptions.NoSuchKey:
                    continue  # released since it was listed
                locks.append(_parse(target, content, held[key]))
    return locks


def _parse(target: Target, content: bytes, modified: datetime.datetime) -> Lock:
    try:
        told = json.loads(content)
        since = datetime.datetime.fromisoformat(_FRACTION.sub(r"\1", told["Created"]))
        # What names no zone is taken for UTC, which terraform writes.
        since = since.astimezone(datetime.UTC) if since.tzinfo else since.replace(tzinfo=datetime.UTC)
        return Lock(target, str(told["ID"]), str(told["Who"]), str(told["Operation"]), since)
    except (ValueError, LookupError, TypeError, OverflowError):
        return Lock(target, "", "unknown", "unknown", modified)


def release_commands(lock: Lock, backend: Mapping[str, str], settings: OrganizationSettings) -> tuple[str, str]:
    """Return the commands that release a lock, for the folder of the root module: initialize, unlock."""
    configuration = backend_of(backend, settings, lock.target.region)
    return commands_by_hand(configuration, lock.target.workspace, "force-unlock", lock.lock_id)
