"""Lifecycle transitions that S3 does not support.

See https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from aws_sandbox.call import AwsError, Call

# Objects move down this list only, and not from One Zone-IA to Glacier Instant Retrieval.
_CLASSES = ("STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
_UNSUPPORTED = ("ONEZONE_IA", "GLACIER_IR")
# Before and in the classes of infrequent access, within one rule.
_DAYS = 30


def transitions(call: Call) -> None:
    """Reject a lifecycle whose rules move objects up, or too early into or out of infrequent access.

    Raises:
        AwsError: InvalidArgument.
    """
    for rule in call.parameters["LifecycleConfiguration"].get("Rules") or ():
        moves = sorted(rule.get("Transitions") or (), key=lambda move: move.get("Days", 0))
        for move in moves:
            if _infrequent(move) and move.get("Days", 0) < _DAYS:
                raise _refusal(f"'Days' must be greater than or equal to {_DAYS} for {move['StorageClass']}")
        for before, after in combinations(moves, 2):
            classes = before["StorageClass"], after["StorageClass"]
            if classes == _UNSUPPORTED or _CLASSES.index(classes[0]) >= _CLASSES.index(classes[1]):
                raise _refusal(f"objects cannot transition from {classes[0]} to {classes[1]}")
            if _infrequent(before) and after.get("Days", 0) - before.get("Days", 0) < _DAYS:
                raise _refusal(f"'Days' for {classes[1]} must be {_DAYS} days more than for {classes[0]}")


def _infrequent(move: dict[str, Any]) -> bool:
    return str(move["StorageClass"]).endswith("_IA")


def _refusal(reason: str) -> AwsError:
    return AwsError("InvalidArgument", f"The lifecycle configuration is not valid: {reason}.")


REFUSALS = (("s3:PutBucketLifecycleConfiguration", transitions),)
