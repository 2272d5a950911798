"""Check that session logs arrive: in the bucket, below the prefix of each account and region, or in the log group.

Only what has arrived is a proof: the agent reports success, and the session history names the bucket or the log group,
also when nothing could be written (amazon-ssm-agent, agent/session/shell/shell.go).
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.accounts import Account
from session_manager_fleet.preferences import expected_preferences, registered_nodes
from session_manager_fleet.targets import Inventory, Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.archive import archive_account, archive_of
from session_manager_fleet.verify.bucket import missing_bucket
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, NewestLog, Severity, Verdict, finding, not_needed
from session_manager_fleet.verify.reading import Reader, error_code

# S3 lists by key, not by time. Listing stops here, and the message says so.
_MAX_OBJECTS = 100_000
_STREAM_TIMES = ("creationTime", "lastEventTimestamp", "lastIngestionTime")


@dataclass(frozen=True)
class LogLocation:
    """Where the session logs of a target go.

    Attributes:
        bucket: Name of the bucket.
        prefix: Prefix of the target's logs.
        account: Account in which they are listed.
        region: Region in which they are listed.
        apply_bucket: Words of the command that creates the bucket; empty for one that exists without the rollout.
    """

    bucket: str
    prefix: str
    account: Account
    region: str
    apply_bucket: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class Newest:
    """The newest log object below a prefix, with an empty key if there is none; `complete` if all were listed."""

    key: str = ""
    at: datetime.datetime | None = None
    complete: bool = True


def log_location(inventory: Inventory, target: Target) -> LogLocation:
    """Return where the session logs of a target that logs to S3 go.

    The bucket of the log archive is listed in the archive's account. If no archive is configured, a bucket whose key
    belongs to the log-archive account is assumed to be in that account.
    """
    values = inventory.settings.effective(target.account, target.region).values
    s3, account = values.preferences.s3, archive_account(inventory)
    archive = archive_of(inventory, s3)
    expected = expected_preferences(target, values, None)["preferences"]
    place = target.account, target.region
    key_owner = s3.kms_key_arn.split(":")[4] if s3.kms_key_arn else s3.kms_key_account_id
    if archive:
        place = archive.account, archive.region
    elif inventory.settings.log_archive is None and account and key_owner == account.id:
        place = account, inventory.home_region
    apply_bucket = archive.apply_bucket if archive else ()
    return LogLocation(expected["s3BucketName"], expected["s3KeyPrefix"], *place, apply_bucket)


def newest_log(reader: Reader, location: LogLocation) -> Newest | None:
    """Return the newest log of a target, or None if the bucket does not exist."""
    where = {"Bucket": location.bucket, "Prefix": f"{location.prefix}/"}
    try:
        return newest_of(reader.pages("s3", location.region, "list_objects_v2", "Contents", **where))
    except ClientError as error:
        if error_code(error) != "NoSuchBucket":
            raise
        return None


def newest_of(objects: Iterable[Mapping[str, Any]]) -> Newest:
    """Return the newest of listed objects."""
    newest = Newest()
    for count, entry in enumerate(objects):
        if count >= _MAX_OBJECTS:
            return Newest(newest.key, newest.at, complete=False)
        if newest.at is None or entry["LastModified"] > newest.at:
            newest = Newest(entry["Key"], entry["LastModified"])
    return newest


def logs(reader: Reader, location: LogLocation, instances: int, max_age: datetime.timedelta | None) -> Check:
    """Check that logs have arrived.

    Args:
        reader: In the account of the location.
        location: Where the target's logs go.
        instances: Number of managed instances of the target; without any, no log is expected.
        max_age: Maximum age of the newest log, or None for any age.
    """
    newest = newest_log(reader, location)
    if newest is None:
        return missing_bucket("logs", location.bucket, location.apply_bucket)
    if newest.at is None:
        if not instances:
            return not_needed("logs", f"No log in {location}, and no managed instances.")
        return _nothing_arrived(str(location), instances)
    seen = "" if newest.complete else f" among the first {_MAX_OBJECTS:,} objects"
    return _judged(_log(newest.key, newest.at), f"{location}{seen}", max_age)


def streams(
    reader: Reader,
    region: str,
    group: str,
    instances: int,
    max_age: datetime.timedelta | None,
    *,
    check: str = "logs",
) -> Check:
    """Check that logs have arrived in a log group; CloudWatch Logs may tell the time of an event an hour late.

    Args:
        reader: In the account of the log group.
        region: Its region.
        group: Its name.
        instances: Number of managed instances of the target; without any, no log is expected.
        max_age: Maximum age of the newest log, or None for any age.
        check: Id of the check.
    """
    found = _streams(reader, region, group, 1)
    if found is None:
        return not_needed(check, f"Skipped: the log group {group} does not exist.")
    newest = found[0] if found else {}
    milliseconds = max(newest.get("lastEventTimestamp", 0), newest.get("lastIngestionTime", 0))
    if milliseconds:
        at = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
        return _judged(_log(newest["logStreamName"], at), group, max_age, check)
    if not instances:
        return not_needed(check, f"No log in {group}, and no managed instances.")
    return _nothing_arrived(group, instances, check)


def newest_stream(reader: Reader, region: str, group: str) -> Newest:
    """Return the newest of the log streams of a group; a session has a stream of its own, which is there at once."""
    found = _streams(reader, region, group, 50) or ()
    times = {entry["logStreamName"]: max(entry.get(name, 0) for name in _STREAM_TIMES) for entry in found}
    if not times:
        return Newest()
    name = max(times, key=lambda each: times[each])
    return Newest(name, datetime.datetime.fromtimestamp(times[name] / 1000, datetime.UTC))


def _streams(reader: Reader, region: str, group: str, most: int) -> Sequence[Mapping[str, Any]] | None:
    """Return the log streams with the newest events; None if the log group does not exist."""
    where = {"logGroupName": group, "orderBy": "LastEventTime", "descending": True, "limit": most}
    found = reader.find("logs", region, "describe_log_streams", **where)
    return found["logStreams"] if found else None


def _nothing_arrived(place: str, instances: int, check: str = "logs") -> Check:
    return finding(
        check,
        f"No log has ever arrived in {place}, although there are {instances} managed instances.",
        "Start and end a session. If no log arrives, check the instance's role and the SSM agent's log.",
    )


def _judged(log: NewestLog, place: str, max_age: datetime.timedelta | None, check: str = "logs") -> Check:
    message = f"The newest log in {place} is {age_text(log.age_seconds)} old."
    if max_age is not None and log.age_seconds > max_age.total_seconds():
        fix = "Watch for new logs, and start and end a session meanwhile."
        return Check(check, Verdict.FINDING, message, fix, log, ("verify", "--watch", "60"))
    return Check(check, Verdict.OK, message, newest_log=log)


def arrived(newest: Newest | None, since: datetime.datetime) -> Check | None:
    """Return the check for a log that has arrived since a time, or None if none has."""
    if newest is None or newest.at is None or newest.at < since:
        return None
    return Check("logs", Verdict.OK, f"{newest.key} has arrived.", newest_log=_log(newest.key, newest.at))


def _log(key: str, at: datetime.datetime) -> NewestLog:
    # S3's clock may be ahead of this machine's.
    return NewestLog(key, max(0, int((datetime.datetime.now(datetime.UTC) - at).total_seconds())))


def age_text(seconds: int) -> str:
    """Return an age in its largest unit, such as `3 hours`."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


class Logs(TargetCheck):
    """Check that session logs arrive."""

    info = CheckInfo(
        id="logs",
        severity=Severity.HIGH,
        what="the newest log object under the prefix of the account and region, or without S3 the newest stream of the "
        "log group, and its age: in the table, and in JSON as `newest_log` with `key` and `age_seconds`. CloudWatch "
        "Logs may tell the time of the newest event [an hour "
        "late](https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogStream.html). The session "
        "history is no proof: the agent reports success and names the destination also when nothing could be written "
        "(`agent/session/shell/shell.go`)",
        why="A configured destination proves nothing: only a log that arrived shows that sessions are logged.",
        fix="Start and end a session while verify waits (--watch); check the role of the instance and the agent's log.",
        evidence="the newest log object or log stream",
        where="targets that log to S3 or CloudWatch Logs",
        permissions=(
            permissions.BUCKETS.allow("s3:ListBucket"),
            permissions.LOG_GROUPS.allow("logs:DescribeLogStreams"),
            permissions.WITHOUT_RESOURCES.allow("ssm:DescribeInstanceInformation"),
        ),
        controls=("NIST 800-53 AU-6", "NIST 800-53 AU-12"),
    )

    def applies(self, place: Place) -> bool:
        """Judge targets that log."""
        return super().applies(place) and (place.values.preferences.s3.enabled or bool(place.log_group))

    def run(self, place: Place) -> Check:
        """Judge the newest log."""
        instances = len(registered_nodes(place.reader, place.region))
        if not place.values.preferences.s3.enabled:
            return streams(place.reader, place.region, place.log_group, instances, place.max_log_age)
        location = log_location(place.inventory, place.target)
        if location.account is place.target.account:
            return logs(place.reader, location, instances, place.max_log_age)
        other = place.reader_of(location.account, location.region)
        with other.evidence() as calls:
            check = logs(other, location, instances, place.max_log_age)
        return replace(check, evidence=tuple(calls))


class LogStreams(TargetCheck):
    """Check that session logs arrive in CloudWatch Logs as well as in S3."""

    info = CheckInfo(
        id="log_streams",
        severity=Severity.HIGH,
        what="the newest stream of the log group and its age, as `logs` has it without S3",
        why="The agent writes both copies by itself: one can arrive while the other does not.",
        fix="Start and end a session while verify waits (--watch); check the role of the instance and the agent's log.",
        evidence="the newest log stream",
        where="targets that log to both S3 and CloudWatch Logs",
        permissions=(
            permissions.LOG_GROUPS.allow("logs:DescribeLogStreams"),
            permissions.WITHOUT_RESOURCES.allow("ssm:DescribeInstanceInformation"),
        ),
        controls=("NIST 800-53 AU-6", "NIST 800-53 AU-12"),
    )

    def applies(self, place: Place) -> bool:
        """Judge targets that log to both."""
        return super().applies(place) and place.values.preferences.s3.enabled and bool(place.log_group)

    def run(self, place: Place) -> Check:
        """Judge the newest stream."""
        instances = len(registered_nodes(place.reader, place.region))
        return streams(*(place.reader, place.region, place.log_group, instances, place.max_log_age), check=self.info.id)
