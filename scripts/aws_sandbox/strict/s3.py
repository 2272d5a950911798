"""Lifecycle transitions that S3 does not support.

See https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html.
"""

from __future__ import annotations

from itertools import combinations

from aws_sandbox.call import AwsError, Call

# Objects move down this list only, and not from One Zone-IA to Glacier Instant Retrieval.
_CLASSES = ("STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
_UNSUPPORTED = ("ONEZONE_IA", "GLACIER_IR")
# Before and in the classes of infrequent access, within one rule.
_DAYS = 30


def transitions(call: Call) -> None:
    """Reject a lifecycle whose rules move objects up, too early into or out of infrequent access, or after their end.

    Raises:
        AwsError: InvalidArgument.
    """
    for rule in call.parameters["LifecycleConfiguration"].get("Rules") or ():
        for moves, days, end in (
            (rule.get("Transitions"), "Days", (rule.get("Expiration") or {}).get("Days")),
            (
                rule.get("NoncurrentVersionTransitions"),
                "NoncurrentDays",
                (rule.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays"),
            ),
        ):
            _check_order([(move.get(days, 0), str(move["StorageClass"])) for move in moves or ()], days, end)


def _check_order(moves: list[tuple[int, str]], name: str, end: int | None) -> None:
    """Reject moves, each with its days and its class, as AWS does for current and for noncurrent versions."""
    moves = sorted(moves, key=lambda move: move[0])
    for days, kind in moves:
        if kind.endswith("_IA") and days < _DAYS:
            raise _refusal(f"'{name}' must be greater than or equal to {_DAYS} for {kind}")
        if end and days >= end:
            raise _refusal(f"'{name}' in the Expiration action must be greater than '{name}' in the Transition action")
    for (before, first), (after, second) in combinations(moves, 2):
        if (first, second) == _UNSUPPORTED or _CLASSES.index(first) >= _CLASSES.index(second):
            raise _refusal(f"objects cannot transition from {first} to {second}")
        if first.endswith("_IA") and after - before < _DAYS:
            raise _refusal(f"'{name}' for {second} must be {_DAYS} days more than for {first}")


def _refusal(reason: str) -> AwsError:
    return AwsError("InvalidArgument", f"The lifecycle configuration is not valid: {reason}.")


REFUSALS = (("s3:PutBucketLifecycleConfiguration", transitions),)
