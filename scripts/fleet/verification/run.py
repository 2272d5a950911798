"""Verify targets: several accounts at once, the regions of an account one after another."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from fleet.audit import VerificationError, verify_preferences
from fleet.aws import partitions, translated_errors
from fleet.errors import AccessError
from fleet.organization import LOG_ARCHIVE, Account
from fleet.recorder import read_recorder
from fleet.verification import arrivals, network, policies, storage
from fleet.verification.model import Check, TargetVerification, Verdict
from fleet.verification.reading import Reader
from fleet.wanted import log_group_name, wanted_preferences

if TYPE_CHECKING:
    from fleet.context import Context
    from fleet.target_settings import TargetSettings
    from fleet.targets import Target

# Calls wait for AWS, so many more than there are processors; Organizations' own limits are not touched.
_WORKERS = 16
# https://repost.aws/knowledge-center/ssm-session-manager-logging-central: logs may take at least 30 seconds.
SHORTEST_WATCH_SECONDS = 30
_LOOK_EVERY_SECONDS = 5


class Verifier:
    """Verifies targets of an organization.

    Args:
        context: The organization and its settings.
        max_log_age: How old the newest log of an account may be, or None for any age.
    """

    def __init__(self, context: Context, max_log_age: datetime.timedelta | None = None) -> None:
        self._context = context
        self._max_log_age = max_log_age
        archives = [account for account in context.organization.accounts if account.role == LOG_ARCHIVE]
        self._archive: Account | None = archives[0] if archives else None

    def verify(
        self,
        targets: Sequence[Target],
        finished: Callable[[TargetVerification], None],
        *,
        stop: threading.Event,
    ) -> list[TargetVerification]:
        """Verify all targets and return what was found, in their order.

        Args:
            targets: Regions of an account stand together or not; they share one session.
            finished: Is told of every target as soon as it is verified, one at a time.
            stop: Once set, no further account is looked at, and its targets are missing from the answer.
        """
        results: dict[Target, TargetVerification] = {}
        lock = threading.Lock()

        def work(chain: list[Target]) -> None:
            if stop.is_set():
                return
            for one in self._account(chain):
                with lock:
                    results[one.target] = one
                    finished(one)

        by_account = sorted(targets, key=lambda target: target.account.id)
        chains = [list(chain) for _, chain in groupby(by_account, key=lambda target: target.account.id)]
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="verify") as pool:
            for future in [pool.submit(work, chain) for chain in chains]:
                future.result()
        return [results[target] for target in targets if target in results]

    def _account(self, targets: list[Target]) -> list[TargetVerification]:
        account = targets[0].account
        try:
            reader = Reader(self._context.session(account, targets[0].region))
        except AccessError as error:
            return [TargetVerification(target, failure=str(error)) for target in targets]
        return [TargetVerification(target, tuple(self._target(target, reader))) for target in targets]

    def _target(self, target: Target, reader: Reader) -> list[Check]:
        effective = self._context.settings.effective(target.account, target.region)
        values, region = effective.values, target.region
        checks: list[Check] = []
        if values.preferences.enabled:
            checks += self._preferences(target, values, reader)
        else:
            checks.append(Check("preferences", Verdict.NOT_NEEDED, "The preferences are not managed here."))
        if target.is_home:
            group = log_group_name(values)
            path, name = values.names.policy_path, values.names.policy
            arn = f"arn:{partitions()[region]}:iam::{target.account.id}:policy{path}{name}"
            checks.append(
                _guarded("instance_policy", lambda: policies.instance_policy(reader, region, values, arn, group))
            )
            if values.config_rule.enabled:
                checks.append(_guarded("recorder", lambda: _recorder(reader, region)))
        return checks

    def _preferences(self, target: Target, values: TargetSettings, reader: Reader) -> list[Check]:
        region, group, s3 = target.region, log_group_name(values), values.preferences.s3
        key_arn: str | None = None

        def session_key() -> Check:
            nonlocal key_arn
            check, key_arn = storage.session_key(reader, region, values)
            return check

        def preferences() -> Check:
            try:
                verify_preferences(reader.session, region, wanted_preferences(target, values, key_arn))
            except VerificationError as error:
                message = " ".join([str(error), *error.diagnostics])
                return Check("preferences", Verdict.FINDING, message, "Plan and apply this target.")
            return Check("preferences", Verdict.OK, f"{values.names.document} is as wanted.")

        checks = [_guarded("session_key", session_key)]
        if checks[0].verdict is Verdict.OK or not values.preferences.session_key.enabled:
            checks.append(_guarded("preferences", preferences))
        else:
            message = "The document cannot be compared before the session key is known."
            checks.append(Check("preferences", Verdict.FINDING, message, "Mend the session key first."))
        checks.append(_guarded("log_group", lambda: storage.log_group(reader, region, values, group)))
        checks.append(_guarded("bucket", lambda: storage.bucket(reader, region, s3)))
        instances: list[str] = []

        def endpoints() -> Check:
            instances.extend(network.managed_instances(reader, region))
            needed = network.needed_services(values.preferences, logs_to_cloudwatch=bool(group))
            return network.endpoints(reader, region, instances, needed)

        checks.append(_guarded("endpoints", endpoints))
        if s3.enabled:
            checks.append(_guarded("logs", lambda: self._logs(target, values, reader, len(instances))))
        return checks

    def _logs(self, target: Target, values: TargetSettings, reader: Reader, instances: int) -> Check:
        bucket, prefix = _where(target, values)
        newest = arrivals.newest_log(self._bucket_reader(values, reader), target.region, bucket, prefix)
        now = datetime.datetime.now(datetime.UTC)
        return arrivals.logs(newest, f"{bucket}/{prefix}", now, instances=instances, max_age=self._max_log_age)

    def _bucket_reader(self, values: TargetSettings, reader: Reader) -> Reader:
        """Return a reader of the account that may list the bucket: the log archive's where the key is there."""
        archive = self._archive
        if archive is None or values.preferences.s3.kms_key_account_id != archive.id:
            return reader
        return Reader(self._context.session(archive, self._context.home_region))

    def watch(
        self,
        targets: Sequence[Target],
        seconds: float,
        progress: Callable[[int, int, float], None],
        *,
        stop: threading.Event,
    ) -> list[tuple[Target, Check]]:
        """Wait until a new log has arrived for every target, or the time is over.

        Args:
            targets: Those whose logs go to S3 are watched.
            seconds: How long, at least SHORTEST_WATCH_SECONDS.
            progress: Is told how many of how many have arrived, and how many seconds are left.
            stop: Ends the wait early.

        Raises:
            AccessError: An account cannot be entered, or its logs cannot be listed.
        """
        begun = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        deadline = time.monotonic() + max(seconds, SHORTEST_WATCH_SECONDS)
        waiting: dict[Target, tuple[Reader, str, str]] = {}
        readers: dict[str, Reader] = {}
        for target in targets:
            values = self._context.settings.effective(target.account, target.region).values
            if values.preferences.enabled and values.preferences.s3.enabled:
                account = target.account
                if account.id not in readers:
                    readers[account.id] = Reader(self._context.session(account, target.region))
                waiting[target] = (self._bucket_reader(values, readers[account.id]), *_where(target, values))
        watched, arrived = list(waiting), {}
        while waiting:
            for target, (reader, bucket, prefix) in list(waiting.items()):
                with translated_errors(f"list the logs of {target.key} in {bucket}/{prefix}"):
                    newest = arrivals.newest_log(reader, target.region, bucket, prefix)
                if newest.at is not None and newest.at >= begun:
                    arrived[target] = Check("logs", Verdict.OK, f"{newest.key} has arrived.")
                    del waiting[target]
            left = deadline - time.monotonic()
            progress(len(arrived), len(watched), max(0.0, left))
            if left <= 0 or not waiting or stop.wait(min(_LOOK_EVERY_SECONDS, left)):
                break
        late = Check(
            "logs",
            Verdict.FINDING,
            "No new log has arrived.",
            "Open and end a session while this waits; logs may take more than 30 seconds.",
        )
        return [(target, arrived.get(target, late)) for target in watched]


def with_arrivals(
    verified: Sequence[TargetVerification], arrived: Sequence[tuple[Target, Check]]
) -> list[TargetVerification]:
    """Put what was watched in place of what was found of the logs before."""
    by_target = dict(arrived)
    return [
        replace(one, checks=(*(check for check in one.checks if check.name != "logs"), by_target[one.target]))
        if one.target in by_target
        else one
        for one in verified
    ]


def _where(target: Target, values: TargetSettings) -> tuple[str, str]:
    wanted = wanted_preferences(target, values, None)["preferences"]
    return wanted["s3BucketName"], wanted["s3KeyPrefix"]


def _recorder(reader: Reader, region: str) -> Check:
    state = read_recorder(reader.session, region)
    if state.finding:
        return Check("recorder", Verdict.FINDING, state.finding, "See modules/config_rule.")
    return Check("recorder", Verdict.OK, "AWS Config records IAM roles.")


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    """Make a check; what AWS refuses to tell is not checked, and never taken for good."""
    try:
        with translated_errors(f"check the {name.replace('_', ' ')}"):
            return look()
    except AccessError as error:
        return Check(name, Verdict.NOT_CHECKED, str(error), "Give the deployment role the permission to read it.")
