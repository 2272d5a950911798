"""Do session logs arrive in the bucket, below the prefix of each account?"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleet.verification.model import Check, Verdict

if TYPE_CHECKING:
    from fleet.verification.reading import Reader

# S3 lists by key and not by time; beyond so many objects the newest one seen is told as such.
_MOST_OBJECTS = 100_000


@dataclass(frozen=True)
class Newest:
    """The newest log object below a prefix.

    Attributes:
        key: Its key; empty when there is none.
        at: When it was written.
        complete: Whether all objects were looked at.
    """

    key: str = ""
    at: datetime.datetime | None = None
    complete: bool = True


def newest_log(reader: Reader, region: str, bucket: str, prefix: str) -> Newest:
    """Return the newest object below a prefix."""
    objects = reader.pages("s3", region, "list_objects_v2", "Contents", Bucket=bucket, Prefix=f"{prefix}/")
    return newest_of(objects)


def newest_of(objects: Iterable[Mapping[str, Any]]) -> Newest:
    """Return the newest of some listed objects."""
    newest = Newest()
    for count, entry in enumerate(objects):
        if count >= _MOST_OBJECTS:
            return Newest(newest.key, newest.at, complete=False)
        if newest.at is None or entry["LastModified"] > newest.at:
            newest = Newest(entry["Key"], entry["LastModified"])
    return newest


def logs(
    newest: Newest, where: str, now: datetime.datetime, *, instances: int, max_age: datetime.timedelta | None
) -> Check:
    """Judge what has arrived.

    Args:
        newest: The newest log object.
        where: Bucket and prefix, for people.
        now: The time.
        instances: Managed instances of the target: without any, no log is expected.
        max_age: How old the newest log may be, or None for any age.
    """
    if newest.at is None:
        if not instances:
            return Check(
                "logs", Verdict.NOT_NEEDED, f"No log has arrived in {where}, and there are no managed instances."
            )
        return Check(
            "logs",
            Verdict.FINDING,
            f"No log has ever arrived in {where}, and there are {instances} managed instances.",
            "Open and end a session; if nothing arrives, check the role of the instance and the agent's log.",
        )
    age = now - newest.at
    seen = "" if newest.complete else f" among the first {_MOST_OBJECTS:,} objects"
    message = f"The newest log in {where}{seen} is {told(age)} old."
    if max_age is not None and age > max_age:
        return Check("logs", Verdict.FINDING, message, "Open and end a session, and watch with --watch.")
    return Check("logs", Verdict.OK, message)


def told(age: datetime.timedelta) -> str:
    """Write an age for people: in its largest unit."""
    seconds = max(0, int(age.total_seconds()))
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
