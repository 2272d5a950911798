"""Find in a plan what was deleted or disabled outside Terraform, and whether it can still be rescued.

The provider takes a key whose deletion is pending for gone, so the plan creates another one. What only the old key can
decrypt would be lost with it, although its deletion can be cancelled for days.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.aws import rescue
from session_manager_fleet.run.refusals import Place, code_of

_KEYS = {"aws_kms_key", "aws_kms_replica_key"}
_DATA = {"aws_cloudwatch_log_group", "aws_s3_bucket"}
_GONE = "NotFoundException"


@dataclass(frozen=True)
class Vanished:
    """A resource that was deleted or disabled outside Terraform.

    Attributes:
        address: Terraform's address.
        note: What happened to it and how to rescue it, for the review.
        can_be_rescued: Whether the plan replaces what can still be rescued.
    """

    address: str
    note: str
    can_be_rescued: bool = False


def find_vanished(plan: Mapping[str, Any], place: Place) -> list[Vanished]:
    """Return what was deleted or disabled outside Terraform, according to the plan.

    Args:
        plan: The plan as `terraform show -json` gives it.
        place: Account and region of the target.
    """
    created = {entry["address"] for entry in plan.get("resource_changes", []) if "create" in entry["change"]["actions"]}
    return list(_found(plan.get("resource_drift", []), created, place))


def _found(drift: list[Mapping[str, Any]], created: set[str], place: Place) -> Iterator[Vanished]:
    for entry in drift:
        address, kind, change = entry["address"], entry["type"], entry["change"]
        before, after = change.get("before") or {}, change.get("after") or {}
        if "delete" not in change["actions"]:
            if kind in _KEYS and before.get("is_enabled") and after.get("is_enabled") is False:
                yield Vanished(address, f"{address} was disabled outside Terraform; the apply enables it.")
        elif kind in _KEYS and address in created:
            yield _key(address, str(before.get("arn", "")), place)
        elif kind in _DATA:
            yield Vanished(address, f"{address} was deleted outside Terraform, with all that it held.")
        else:
            yield Vanished(address, f"{address} was deleted outside Terraform.")


def _key(address: str, arn: str, place: Place) -> Vanished:
    try:
        state = place.ask("kms", "describe_key", KeyId=arn)["KeyMetadata"]["KeyState"]
    except ClientError as error:
        if code_of(error) == _GONE:
            return Vanished(address, f"{address} was deleted outside Terraform. What only it can decrypt is lost.")
        # It may still be there, so that it counts as a key that can be rescued.
        note = f"{address} was deleted outside Terraform. AWS does not say whether the key {arn} can be rescued"
        return Vanished(address, f"{note} ({code_of(error)}).", can_be_rescued=True)
    note = (
        f"{address} is {state} outside Terraform, and the plan creates another key. {rescue(arn, state)} - and plan "
        "again. To give up what only the old key can decrypt, pass --allow-destroy."
    )
    return Vanished(address, note, can_be_rescued=True)
