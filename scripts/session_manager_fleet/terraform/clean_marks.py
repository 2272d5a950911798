"""Marks of clean runs: what a target looked like when Terraform last found nothing to change in it.

They lie beside the states, where every machine finds them, and where only those may write who may write states. Each
target has one object, so that a new mark takes the place of the old one without a right to delete.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pydantic
from pydantic import TypeAdapter

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import FleetError
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.stray_states import LARGEST_STATE_BYTES

if TYPE_CHECKING:  # the stubs are for developers only
    from mypy_boto3_s3 import S3Client

SCHEMA_VERSION = 1
# A mark has a digest for each resource; who may write to the bucket can store an object of any size.
_LARGEST_MARK_BYTES = 1_000_000
_MISSING = {"404", "NoSuchKey", "NotFound"}
_LOCK = ".tflock"


class UnreadableStateError(FleetError):
    """A state or a mark that cannot be used; Terraform has to say what it is."""


@dataclass(frozen=True)
class CleanMark:
    """Record of a target when a plan of all of it found no changes.

    Attributes:
        inputs: SHA-256 digest of what the plan was made from: variables, root module, versions, state backend.
        state: Version and ETag of the state object.
        live: SHA-256 digest of what AWS answered about each resource, by Terraform's address.
        notes: What the plan said of changes outside of Terraform, which it leaves.
        schema_version: Version of this layout.
    """

    inputs: str
    state: str
    live: dict[str, str]
    notes: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class ManagedResource:
    """A resource that a state holds.

    Attributes:
        address: Terraform's address.
        type: Its type, as `aws_sqs_queue`.
        attributes: Its attributes, which may be secret.
    """

    address: str
    type: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class StoredState:
    """A state as it is stored.

    Attributes:
        identity: Version and ETag of its object.
        resources: The managed resources.
        data_types: Types of the data sources that it holds.
    """

    identity: str
    resources: tuple[ManagedResource, ...]
    data_types: frozenset[str]


_MARK = TypeAdapter(CleanMark)


def read_clean_mark(backend: StateBackend, target: Target) -> CleanMark | None:
    """Return the mark of the last clean run of a target; None if there is none.

    Raises:
        UnreadableStateError: It is damaged, or of another version of this project.
        AccessError: It cannot be read.
    """
    found = _get(backend, _key(backend, target), _LARGEST_MARK_BYTES)
    if found is None:
        return None
    try:
        mark = _MARK.validate_json(found[1])
    except pydantic.ValidationError:
        raise UnreadableStateError("the mark of its last clean run cannot be read") from None
    if mark.schema_version != SCHEMA_VERSION:
        raise UnreadableStateError("the mark of its last clean run has another version")
    return mark


def store_clean_mark(backend: StateBackend, target: Target, mark: CleanMark) -> None:
    """Store the mark of a clean run in the place of the one before.

    Raises:
        AccessError: The state bucket cannot be written to.
    """
    key = _key(backend, target)
    with translated_errors(f"store {key} in the state bucket {backend.bucket}"):
        backend.client().put_object(
            Bucket=backend.bucket,
            Key=key,
            Body=_MARK.dump_json(mark),
            ContentType="application/json",
            **backend.encryption,  # type: ignore[arg-type]
        )


def state_identity(backend: StateBackend, target: Target) -> str:
    """Return version and ETag of the state object of a target; empty if there is none.

    Raises:
        AccessError: The state bucket cannot be read.
    """
    key = backend.state_key(target)
    with translated_errors(f"read {key} in the state bucket {backend.bucket}"):
        try:
            return _identity(backend.client().head_object(Bucket=backend.bucket, Key=key))
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
    return ""


def is_locked(backend: StateBackend, target: Target) -> bool:
    """Tell whether Terraform holds, or left behind, a lock of the state of a target.

    Raises:
        AccessError: The state bucket cannot be listed.
    """
    lock = f"{backend.state_key(target)}{_LOCK}"
    with translated_errors(f"list {lock} in the state bucket {backend.bucket}"):
        return bool(backend.client().list_objects_v2(Bucket=backend.bucket, Prefix=lock, MaxKeys=1).get("KeyCount"))


def read_state(backend: StateBackend, target: Target, client: "S3Client | None" = None) -> StoredState | None:
    """Return the stored state of a target; None if there is none.

    Args:
        backend: Where the states are.
        target: The target.
        client: The client to read with, where many states are read; by default one is made.

    Raises:
        UnreadableStateError: It is no state of Terraform, or encrypted.
        AccessError: The state bucket cannot be read.
    """
    found = _get(backend, backend.state_key(target), LARGEST_STATE_BYTES, client)
    if found is None:
        return None
    identity, content = found
    return StoredState(identity, *resources_in(content))


def resources_in(content: bytes) -> tuple[tuple[ManagedResource, ...], frozenset[str]]:
    """Return the managed resources of a state, and the types of its data sources.

    Raises:
        UnreadableStateError: It is no state of Terraform, or encrypted.
    """
    try:
        entries = json.loads(content)["resources"]
        managed = tuple(one for entry in entries if entry["mode"] == "managed" for one in _managed(entry))
        data = frozenset(str(entry["type"]) for entry in entries if entry["mode"] != "managed")
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        raise UnreadableStateError("its state cannot be read") from None
    return managed, data


def _managed(entry: Mapping[str, Any]) -> list[ManagedResource]:
    module = f"{entry['module']}." if entry.get("module") else ""
    found = []
    for instance in entry["instances"]:
        if instance.get("status") == "tainted" or "deposed" in instance:
            raise UnreadableStateError("its state holds a resource that Terraform is to replace or to delete")
        index = instance.get("index_key")
        place = "" if index is None else f"[{json.dumps(index)}]"
        address = f"{module}{entry['type']}.{entry['name']}{place}"
        found.append(ManagedResource(address, entry["type"], dict(instance["attributes"])))
    return found


def _get(backend: StateBackend, key: str, largest: int, client: "S3Client | None" = None) -> tuple[str, bytes] | None:
    """Return identity and content of an object; None if there is none."""
    with translated_errors(f"read {key} in the state bucket {backend.bucket}"):
        try:
            answer = (client or backend.client()).get_object(Bucket=backend.bucket, Key=key)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
            return None
        return _identity(answer), answer["Body"].read(largest)


def _identity(answer: Mapping[str, Any]) -> str:
    return f"{answer.get('VersionId', '')} {answer['ETag']}"


def _key(backend: StateBackend, target: Target) -> str:
    return f"{backend.key_prefix}/clean/{target.key}"


def digest_of(content: object) -> str:
    """Return the SHA-256 digest of what JSON can hold; times as texts."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
