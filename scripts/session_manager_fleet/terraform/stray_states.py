"""States that no target has: of accounts and regions that have left the settings, or of another home region."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from session_manager_fleet.aws import REGION_FORM, translated_errors
from session_manager_fleet.errors import InputError
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform.backend import StateBackend

# What is cut off here is no JSON, and therefore a state that cannot be read.
LARGEST_STATE_BYTES = 64 * 1024 * 1024

_STATE = re.compile(
    rf"(?P<region>{REGION_FORM})/(?P<account>[0-9]{{12}})(?P<suffix>-{REGION_FORM})?/terraform\.tfstate"
)
_LOCK = ".tflock"


@dataclass(frozen=True)
class HeldResource:
    """A resource in a state.

    Attributes:
        address: Terraform's address.
        id: ARN or id; empty where the state has none.
    """

    address: str
    id: str


_SMALL = 4096


@dataclass(frozen=True)
class StrayState:
    """A state that holds resources and belongs to no target.

    Attributes:
        account_id: Account of the resources.
        region: Region of the resources.
        is_home: Whether the region was the account's home region.
        key: Key of the object in the state bucket.
        resources: Number of resource blocks that it holds.
    """

    account_id: str
    region: str
    is_home: bool
    key: str
    resources: int

    @property
    def name(self) -> str:
        """Account and region, as `111122223333/eu-west-1`."""
        return f"{self.account_id}/{self.region}"


def find_stray_states(backend: StateBackend, targets: Sequence[Target]) -> list[StrayState]:
    """Return the states with resources that belong to none of the targets, by account and region.

    Args:
        backend: Where the states are; its prefix is listed once.
        targets: All targets of the organization.

    Raises:
        AccessError: The state bucket cannot be read.
    """
    expected = {backend.state_key(target) for target in targets}
    prefix, found = f"{backend.key_prefix}/", []
    with translated_errors(f"list the states in the state bucket {backend.bucket}"):
        s3 = backend.client()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=backend.bucket, Prefix=prefix):
            for key in (entry["Key"] for entry in page.get("Contents", [])):
                match = _STATE.fullmatch(key.removeprefix(prefix))
                if match is None or key in expected or match["suffix"] not in {None, f"-{match['region']}"}:
                    continue
                content = s3.get_object(Bucket=backend.bucket, Key=key)["Body"].read(LARGEST_STATE_BYTES)
                # A destroyed target leaves a state without resources.
                if resources := _count(content):
                    region, is_home = match["region"], match["suffix"] is None
                    found.append(StrayState(match["account"], region, is_home, key, resources))
    return sorted(found, key=lambda state: (state.account_id, state.region))


def find_stored(backend: StateBackend, targets: Sequence[Target]) -> frozenset[str]:
    """Return the keys of the targets that have a state with resources.

    Raises:
        AccessError: The state bucket cannot be read.
    """
    by_state = {backend.state_key(target): target.key for target in targets}
    stored = set()
    with translated_errors(f"list the states in the state bucket {backend.bucket}"):
        s3 = backend.client()
        for page in s3.get_paginator("list_objects_v2").paginate(
            Bucket=backend.bucket, Prefix=f"{backend.key_prefix}/"
        ):
            for entry in (entry for entry in page.get("Contents", []) if entry["Key"] in by_state):
                # A destroyed target leaves a small state without resources.
                small = entry["Size"] < _SMALL
                if not small or _count(s3.get_object(Bucket=backend.bucket, Key=entry["Key"])["Body"].read()):
                    stored.add(by_state[entry["Key"]])
    return frozenset(stored)


def read_resources(backend: StateBackend, state: StrayState) -> list[HeldResource]:
    """Return the resources in a state, without their attributes, which may hold secrets.

    Raises:
        AccessError: The state cannot be read.
        InputError: It is no state of Terraform.
    """
    with translated_errors(f"read {state.key} in the state bucket {backend.bucket}"):
        stored = backend.client().get_object(Bucket=backend.bucket, Key=state.key)
        content = stored["Body"].read(LARGEST_STATE_BYTES)
    try:
        return [held for entry in json.loads(content)["resources"] for held in _held(entry)]
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        message = f"{state.key} in the state bucket {backend.bucket} is no state of Terraform."
        raise InputError(message, "STATE", next_command=("states",)) from error


def _held(entry: Mapping[str, Any]) -> Iterator[HeldResource]:
    if entry["mode"] != "managed":
        return
    module = f"{entry['module']}." if entry.get("module") else ""
    for instance in entry["instances"]:
        index = instance.get("index_key")
        place = "" if index is None else f"[{json.dumps(index)}]"
        attributes = instance.get("attributes") or {}
        identity = attributes.get("arn") or attributes.get("id") or ""
        yield HeldResource(f"{module}{entry['type']}.{entry['name']}{place}", str(identity))


def delete_state(backend: StateBackend, state: StrayState) -> bool:
    """Delete a state; what it holds stays in AWS.

    Returns:
        Whether the bucket keeps the state as an earlier version.

    Raises:
        InputError: The state is locked.
        AccessError: It cannot be deleted.
    """
    with translated_errors(f"delete {state.key} in the state bucket {backend.bucket}"):
        s3 = backend.client()
        lock = f"{state.key}{_LOCK}"
        if s3.list_objects_v2(Bucket=backend.bucket, Prefix=lock, MaxKeys=1).get("KeyCount"):
            message = (
                f"The state of {state.name} is locked ({lock}): wait until its holder has ended, or delete the lock of "
                f"one that was killed: aws s3api delete-object --bucket {backend.bucket} --key {lock}"
            )
            raise InputError(message)
        return bool(s3.delete_object(Bucket=backend.bucket, Key=state.key).get("DeleteMarker"))


def _count(content: bytes) -> int:
    """Return the number of managed resource blocks of a state; 1 for one that cannot be read, or is encrypted."""
    try:
        state = json.loads(content)
        if "encrypted_data" in state:  # by OpenTofu, which then writes nothing else about the resources
            return 1
        return sum(entry.get("mode") == "managed" for entry in state.get("resources", []))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return 1
