"""Do session logs arrive in the bucket, below the prefix of each account?"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from session_manager_fleet.verify.model import Check, NewestLog, Verdict

if TYPE_CHECKING:
    from session_manager_fleet.verify.reading import Reader

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


def newest_log(reader: Reader, region: str, bucket: str, prefix: str) -> Newest | None:
    """Return the newest object below a prefix, or None when there is no such bucket."""
    objects = reader.pages("s3", region, "list_objects_v2", "Contents", Bucket=bucket, Prefix=f"{prefix}/")
    try:
        return newest_of(objects)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        return None


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
    log = _log(newest.key, newest.at, now)
    seen = "" if newest.complete else f" among the first {_MOST_OBJECTS:,} objects"
    message = f"The newest log in {where}{seen} is {told(log.age_seconds)} old."
    if max_age is not None and now - newest.at > max_age:
        return Check("logs", Verdict.FINDING, message, "Open and end a session, and watch with --watch.", log)
    return Check("logs", Verdict.OK, message, newest_log=log)


def arrived(newest: Newest | None, since: datetime.datetime) -> Check | None:
    """Return what is said of a log that has arrived since a time, or None when none has."""
    if newest is None or newest.at is None or newest.at < since:
        return None
    log = _log(newest.key, newest.at, datetime.datetime.now(datetime.UTC))
    return Check("logs", Verdict.OK, f"{newest.key} has arrived.", newest_log=log)


def _log(key: str, at: datetime.datetime, now: datetime.datetime) -> NewestLog:
    # The clock of S3 may be ahead of this one.
    return NewestLog(key, max(0, int((now - at).total_seconds())))


def told(seconds: int) -> str:
    """Write an age for people: in its largest unit."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
