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

from session_manager_fleet.accounts import LOG_ARCHIVE
from session_manager_fleet.aws import partitions, translated_errors
from session_manager_fleet.errors import AccessError
from session_manager_fleet.preferences import VerificationError, log_group_name, verify_preferences, wanted_preferences
from session_manager_fleet.verify import archive, arrivals, network, policies, storage
from session_manager_fleet.verify.model import Check, TargetVerification, Verdict
from session_manager_fleet.verify.reading import Reader
from session_manager_fleet.verify.recorder import read_recorder

if TYPE_CHECKING:
    from session_manager_fleet.accounts import Account
    from session_manager_fleet.settings import S3Logging, TargetSettings
    from session_manager_fleet.targets import Inventory, Target

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

    def __init__(self, context: Inventory, max_log_age: datetime.timedelta | None = None) -> None:
        self._context = context
        self._max_log_age = max_log_age
        accounts = context.organization.accounts
        self._archive_account = next((account for account in accounts if account.role == LOG_ARCHIVE), None)
        self._archive = archive.archive_of(context, self._archive_account)
        # Read once for all targets: the key of the archive's bucket, or why it is not known, and the bucket's policy.
        self._archive_key: storage.Key | Check | None = None
        self._archive_policy: Check | None = None

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
        self._read_archive(targets)

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

    def _read_archive(self, targets: Sequence[Target]) -> None:
        """Read what is the same for all targets that log to the archive."""
        wanted = self._archive
        if wanted is None or not any(wanted.holds_logs_of(self._values(target).preferences.s3) for target in targets):
            return
        key: storage.Key | None = None

        def bucket_key() -> Check:
            nonlocal key
            owner = next(
                (each for each in self._context.organization.accounts if each.id == wanted.key_account_id),
                wanted.account,
            )
            reader = Reader(self._context.session(owner, wanted.region))
            key = storage.find_key(reader, wanted.region, wanted.key)
            if key is None:
                message = f"The key {wanted.key} of the log archive does not exist in account {owner.id}."
                return Check("bucket", Verdict.FINDING, message, "Apply the log archive, or correct its bucket_key.")
            return Check("bucket", Verdict.OK, f"{key.arn} is {key.state}.")

        def policy() -> Check:
            if key is None:
                message = "The policy of the bucket cannot be compared before its key is known."
                return Check("bucket_policy", found.verdict, message, found.fix)
            reader = Reader(self._context.session(wanted.account, wanted.region))
            return archive.policy(reader, wanted, key.arn)

        found = _guarded("bucket", bucket_key)
        self._archive_key = key or found
        self._archive_policy = _guarded("bucket_policy", policy)

    def _values(self, target: Target) -> TargetSettings:
        return self._context.settings.effective(target.account, target.region).values

    def _account(self, targets: list[Target]) -> list[TargetVerification]:
        account = targets[0].account
        try:
            reader = Reader(self._context.session(account, targets[0].region))
        except AccessError as error:
            return [TargetVerification(target, failure=str(error)) for target in targets]
        return [TargetVerification(target, tuple(self._target(target, reader))) for target in targets]

    def _target(self, target: Target, reader: Reader) -> list[Check]:
        values, region = self._values(target), target.region
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
        checks.append(_guarded("bucket", lambda: self._bucket(target, s3, reader)))
        archived = self._archive is not None and self._archive.holds_logs_of(s3)
        if archived and self._archive_policy:
            checks.append(self._archive_policy)
        instances: list[str] = []

        def endpoints() -> Check:
            instances.extend(network.managed_instances(reader, region))
            bucket_region = self._archive.region if self._archive and archived else region
            needed = network.needed_services(
                values.preferences, region, logs_to_cloudwatch=bool(group), bucket_region=bucket_region
            )
            return network.endpoints(reader, region, instances, needed)

        checks.append(_guarded("endpoints", endpoints))
        if s3.enabled:
            checks.append(_guarded("logs", lambda: self._logs(target, values, reader, len(instances))))
        return checks

    def _bucket(self, target: Target, s3: S3Logging, reader: Reader) -> Check:
        """Check the bucket; its key is known where the archive made it, and looked at there and in the own account."""
        given, key = s3.kms_key_arn, None
        if self._archive and self._archive.holds_logs_of(s3):
            if isinstance(self._archive_key, Check):
                return self._archive_key
            key = self._archive_key
        elif s3.enabled and given is not None and given.split(":")[4] == target.account.id:
            key = storage.find_key(reader, given.split(":")[3], given)
            if key is None:
                message = f"The key {given} of the bucket {s3.bucket_name} does not exist."
                return Check("bucket", Verdict.FINDING, message, "Create the key, or correct s3.kms_key_arn.")
        return storage.bucket(reader, target.region, s3, key)

    def _logs(self, target: Target, values: TargetSettings, reader: Reader, instances: int) -> Check:
        bucket, prefix = _where(target, values)
        account, region = self._lister(target, values)
        if account is not target.account:
            reader = Reader(self._context.session(account, region))
        newest = arrivals.newest_log(reader, region, bucket, prefix)
        if newest is None:
            return storage.missing_bucket("logs", bucket)
        now = datetime.datetime.now(datetime.UTC)
        return arrivals.logs(newest, f"{bucket}/{prefix}", now, instances=instances, max_age=self._max_log_age)

    def _lister(self, target: Target, values: TargetSettings) -> tuple[Account, str]:
        """Return the account, and the region, from which the bucket is listed: those of the log archive for its bucket.

        Where the settings make no log archive, a bucket with a key of that account is taken for one that is there.
        """
        s3 = values.preferences.s3
        if self._archive and self._archive.holds_logs_of(s3):
            return self._archive.account, self._archive.region
        owner = s3.kms_key_arn.split(":")[4] if s3.kms_key_arn else s3.kms_key_account_id
        if self._archive is None and self._archive_account and owner == self._archive_account.id:
            return self._archive_account, self._context.home_region
        return target.account, target.region

    def watch(
        self,
        targets: Sequence[Target],
        seconds: float,
        progress: Callable[[int, int, float], None],
        *,
        since: datetime.datetime,
        stop: threading.Event,
    ) -> list[tuple[Target, Check]]:
        """Wait until a new log has arrived for every target, or the time is over.

        Args:
            targets: Those whose logs go to S3 are watched.
            seconds: How long, at least SHORTEST_WATCH_SECONDS.
            progress: Is told how many of how many have arrived, and how many seconds are left.
            since: What counts as new; S3 tells whole seconds.
            stop: Ends the wait early.

        Returns:
            What came of each; where an account cannot be entered or its logs cannot be listed, that.
        """
        since = since.replace(microsecond=0)
        deadline = time.monotonic() + max(seconds, SHORTEST_WATCH_SECONDS)
        watched = [target for target in targets if _logs_to_s3(self._values(target))]
        said: dict[Target, Check] = {}
        readers: dict[str, Reader] = {}
        while len(said) < len(watched):
            for target in watched:
                if target not in said and (check := self._look(target, readers, since)):
                    said[target] = check
            left = deadline - time.monotonic()
            arrived = sum(check.verdict is Verdict.OK for check in said.values())
            progress(arrived, len(watched), max(0.0, left))
            if left <= 0 or len(said) == len(watched) or stop.wait(min(_LOOK_EVERY_SECONDS, left)):
                break
        late = Check(
            "logs",
            Verdict.FINDING,
            "No new log has arrived.",
            "Open and end a session while this waits; logs may take more than 30 seconds.",
        )
        return [(target, said.get(target, late)) for target in watched]

    def _look(self, target: Target, readers: dict[str, Reader], since: datetime.datetime) -> Check | None:
        """Return what is to be said of a target's logs, or None as long as none has arrived."""
        values = self._values(target)
        bucket, prefix = _where(target, values)
        account, region = self._lister(target, values)
        try:
            if account.id not in readers:
                readers[account.id] = Reader(self._context.session(account, region))
            with translated_errors(f"list the logs in {bucket}/{prefix}"):
                newest = arrivals.newest_log(readers[account.id], region, bucket, prefix)
        except AccessError as error:
            return _not_checked("logs", error)
        return arrivals.arrived(newest, since)


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
        return _not_checked(name, error)


def _not_checked(name: str, error: AccessError) -> Check:
    return Check(name, Verdict.NOT_CHECKED, str(error), "Give the deployment role the permission to read it.")


def _logs_to_s3(values: TargetSettings) -> bool:
    return values.preferences.enabled and values.preferences.s3.enabled
