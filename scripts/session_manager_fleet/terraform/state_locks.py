"""State locks that terraform holds or left behind: who holds one, since when, and how to release it by hand."""

import datetime
import json
import re
import shlex
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform.backend import StateBackend, commands_by_hand

_SUFFIX = ".tflock"
# Terraform's locks have some hundred bytes; who may write to the bucket can store an object of any size.
_LARGEST_BYTES = 100_000
# Terraform writes nanoseconds; datetime holds microseconds.
_FRACTION = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True)
class Lock:
    """A lock of a target's state, as terraform's S3 backend writes it beside the state.

    Everything but the target is untrusted: anyone who may write to the state bucket chooses it.

    Attributes:
        target: The target.
        lock_id: Argument of `terraform force-unlock`; empty if the lock cannot be read.
        who: User and machine of the holder.
        operation: Operation of the holder, as `OperationTypeApply`.
        since: When the lock was taken, in UTC.
        has_state: Whether the state exists; terraform cannot release the lock of one that does not.
    """

    target: Target
    lock_id: str
    who: str
    operation: str
    since: datetime.datetime
    has_state: bool = True

    @property
    def is_terraforms(self) -> bool:
        """Whether the id is a UUID, as terraform makes them; no other may become the argument of a command."""
        try:
            return str(uuid.UUID(self.lock_id)) == self.lock_id
        except ValueError:
            return False

    def age(self, now: datetime.datetime) -> datetime.timedelta:
        """Return how long the lock has been held, in whole seconds."""
        return datetime.timedelta(seconds=int((now - self.since).total_seconds()))


def read_locks(backend: StateBackend, targets: Sequence[Target]) -> list[Lock]:
    """Read the state locks of targets, in the order of the targets; each region is listed once.

    Raises:
        AccessError: The state bucket cannot be read.
    """
    held: dict[str, datetime.datetime] = {}
    there: set[str] = set()
    locks = []
    with translated_errors(f"read the locks in the state bucket {backend.bucket}"):
        s3 = backend.client()
        for region in dict.fromkeys(target.region for target in targets):
            prefix = f"{backend.workspace_prefix(region)}/"
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=backend.bucket, Prefix=prefix):
                entries = page.get("Contents", [])
                there |= {entry["Key"] for entry in entries}
                held |= {entry["Key"]: entry["LastModified"] for entry in entries if entry["Key"].endswith(_SUFFIX)}
        for target in targets:
            key = f"{backend.state_key(target)}{_SUFFIX}"
            if key in held:
                try:
                    content = s3.get_object(Bucket=backend.bucket, Key=key)["Body"].read(_LARGEST_BYTES)
                except s3.exceptions.NoSuchKey:
                    continue  # released since it was listed
                lock = _parse(target, content, held[key])
                locks.append(replace(lock, has_state=backend.state_key(target) in there))
    return locks


def _parse(target: Target, content: bytes, modified: datetime.datetime) -> Lock:
    try:
        fields = json.loads(content)
        since = datetime.datetime.fromisoformat(_FRACTION.sub(r"\1", fields["Created"]))
        # A time without a zone is read as UTC, in which terraform writes it.
        since = since.astimezone(datetime.UTC) if since.tzinfo else since.replace(tzinfo=datetime.UTC)
        return Lock(target, str(fields["ID"]), str(fields["Who"]), str(fields["Operation"]), since)
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return Lock(target, "", "unknown", "unknown", modified)


def release_commands(lock: Lock, backend: StateBackend) -> tuple[str, ...]:
    """Return the commands that release a lock, for the folder of the root module.

    They initialize the backend and unlock. Terraform locks a state that does not exist before it can unlock it, and
    meets the lock; the object itself is deleted then.
    """
    if not lock.has_state:
        where = ["--bucket", backend.bucket, "--key", f"{backend.state_key(lock.target)}{_SUFFIX}"]
        return (shlex.join(["aws", "s3api", "delete-object", "--region", backend.region, *where]),)
    configuration = backend.configuration(lock.target.region)
    return commands_by_hand(configuration, lock.target.workspace, "force-unlock", lock.lock_id)
