"""Wait for new session logs."""

import datetime
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import AccessError
from session_manager_fleet.preferences import log_group_name
from session_manager_fleet.targets import Inventory, Target
from session_manager_fleet.verify.logs import arrived, log_location, newest_log, newest_stream
from session_manager_fleet.verify.model import Check, TargetVerification, Verdict, finding
from session_manager_fleet.verify.reading import Reader, not_checked

# https://repost.aws/knowledge-center/ssm-session-manager-logging-central: logs may take at least 30 seconds.
MIN_WATCH_SECONDS = 30
_POLL_SECONDS = 5


def watch_logs(
    inventory: Inventory,
    targets: Sequence[Target],
    seconds: float,
    progress: Callable[[int, int, float], None],
    *,
    since: datetime.datetime,
    stop: threading.Event,
) -> list[tuple[Target, Check]]:
    """Wait until every target has a new log, or the time is up.

    Args:
        inventory: The organization and its settings.
        targets: Those that log to S3 or CloudWatch Logs are watched.
        seconds: How long to wait, at least MIN_WATCH_SECONDS.
        progress: Called with the number of targets with new logs, of watched targets, and of seconds left.
        since: Logs from this time on are new; S3 has a resolution of one second.
        stop: Ends the wait early.

    Returns:
        The check `logs` of each watched target.
    """
    since = since.replace(microsecond=0)
    deadline = time.monotonic() + max(seconds, MIN_WATCH_SECONDS)
    watched = watchable(inventory, targets)
    checks: dict[Target, Check] = {}
    readers: dict[str, Reader] = {}
    while len(checks) < len(watched):
        for target in watched:
            if target not in checks and (check := _look(inventory, target, readers, since)):
                checks[target] = check
        left = deadline - time.monotonic()
        progress(sum(check.verdict is Verdict.OK for check in checks.values()), len(watched), max(0.0, left))
        if left <= 0 or len(checks) == len(watched) or stop.wait(min(_POLL_SECONDS, left)):
            break
    late = finding(
        "logs", "No new log has arrived.", "Start and end a session while verify waits; increase --watch if needed."
    )
    return [(target, checks.get(target, late)) for target in watched]


def watchable(inventory: Inventory, targets: Sequence[Target]) -> list[Target]:
    """Return the targets whose session logs go to S3 or CloudWatch Logs."""
    return [target for target in targets if _logs_to_s3(inventory, target) or _log_group(inventory, target)]


def _log_group(inventory: Inventory, target: Target) -> str:
    values = inventory.settings.effective(target.account, target.region).values
    return log_group_name(values) if values.preferences.enabled else ""


def _logs_to_s3(inventory: Inventory, target: Target) -> bool:
    preferences = inventory.settings.effective(target.account, target.region).values.preferences
    return preferences.enabled and preferences.s3.enabled


def _look(inventory: Inventory, target: Target, readers: dict[str, Reader], since: datetime.datetime) -> Check | None:
    """Return the check of a target, or None as long as no new log has arrived."""
    if not _logs_to_s3(inventory, target):
        return _look_in_group(inventory, target, readers, since)
    location = log_location(inventory, target)
    try:
        if location.account.id not in readers:
            readers[location.account.id] = Reader(inventory.session(location.account, location.region))
        with translated_errors(f"list the logs in {location}"):
            return arrived(newest_log(readers[location.account.id], location), since)
    except AccessError as error:
        return not_checked("logs", error)


def _look_in_group(
    inventory: Inventory, target: Target, readers: dict[str, Reader], since: datetime.datetime
) -> Check | None:
    group, key = _log_group(inventory, target), target.account.id
    try:
        if key not in readers:
            readers[key] = Reader(inventory.session(target.account, target.region))
        with translated_errors(f"list the log streams of {group}"):
            return arrived(newest_stream(readers[key], target.region, group), since)
    except AccessError as error:
        return not_checked("logs", error)


def with_arrivals(
    verified: Sequence[TargetVerification], arrivals: Sequence[tuple[Target, Check]]
) -> list[TargetVerification]:
    """Replace the checks `logs` of verified targets by those of the watch."""
    by_target = dict(arrivals)
    return [
        replace(one, checks=(*(check for check in one.checks if check.name != "logs"), by_target[one.target]))
        if one.target in by_target
        else one
        for one in verified
    ]
