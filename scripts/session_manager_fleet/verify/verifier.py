"""Run the checks: several accounts in parallel, the regions of an account one after another."""

import datetime
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from session_manager_fleet.errors import AccessError
from session_manager_fleet.preferences import log_group_name
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Inventory, Target
from session_manager_fleet.verify import endpoints
from session_manager_fleet.verify.applied_preferences import applied_preferences
from session_manager_fleet.verify.archive import Archive, archive_of
from session_manager_fleet.verify.bucket import bucket_of_target
from session_manager_fleet.verify.bucket_policy import bucket_policy
from session_manager_fleet.verify.config_rule import config_rule
from session_manager_fleet.verify.drift_repair import drift_repair
from session_manager_fleet.verify.guardrails import guardrails
from session_manager_fleet.verify.instance_policy import instance_policy
from session_manager_fleet.verify.key_protection import key_protection
from session_manager_fleet.verify.keys import Key, find_key, session_key
from session_manager_fleet.verify.log_group import log_group
from session_manager_fleet.verify.logs import log_location, logs, streams
from session_manager_fleet.verify.model import Check, TargetVerification, Verdict, finding, not_needed, ok
from session_manager_fleet.verify.preferences import preferences, without_key
from session_manager_fleet.verify.public_sharing import public_sharing
from session_manager_fleet.verify.reading import Reader, run_check
from session_manager_fleet.verify.recorder import check_recorder
from session_manager_fleet.verify.roles import roles

# Threads mostly wait for AWS, so there may be many more than processors.
_WORKERS = 16


@dataclass(frozen=True)
class ArchiveState:
    """Live state of the log archive.

    Attributes:
        key: Key of the bucket, or the check that says why it is unknown.
        policy: Result of the check of the bucket's policy.
    """

    key: Key | Check
    policy: Check


def read_archive(inventory: Inventory, archive: Archive) -> ArchiveState:
    """Read the key and check the policy of the log archive's bucket."""
    key: Key | None = None

    def bucket_key() -> Check:
        nonlocal key
        accounts = inventory.organization.accounts
        owner = next((each for each in accounts if each.id == archive.key_account_id), archive.account)
        reader = Reader(inventory.session(owner, archive.region))
        key = find_key(reader, archive.region, archive.key)
        if key is None:
            message = f"The key {archive.key} of the log archive does not exist in account {owner.id}."
            fix = "Apply the log archive, or correct its bucket_key."
            return finding("bucket", message, fix, archive.apply_command)
        return ok("bucket", f"{key.arn} is {key.state}.")

    def policy() -> Check:
        if key is None:
            message = "Skipped: the expected bucket policy depends on the bucket's key."
            return Check("bucket_policy", found.verdict, message, found.fix, command=found.command)
        return bucket_policy(Reader(inventory.session(archive.account, archive.region)), archive, key.arn)

    found = run_check("bucket", bucket_key)
    return ArchiveState(key or found, run_check("bucket_policy", policy))


class Verifier:
    """Verifies targets of an organization.

    Args:
        inventory: The organization and its settings.
        max_log_age: Maximum age of the newest log of a target, or None for any age.
    """

    def __init__(self, inventory: Inventory, max_log_age: datetime.timedelta | None = None) -> None:
        self._inventory = inventory
        self._max_log_age = max_log_age
        self._archive = archive_of(inventory)
        # Read once, because it is the same for all targets.
        self._archive_state: ArchiveState | None = None

    def verify(
        self,
        targets: Sequence[Target],
        finished: Callable[[TargetVerification], None],
        *,
        stop: threading.Event,
    ) -> list[TargetVerification]:
        """Verify targets and return the results in their order.

        Args:
            targets: In any order; the regions of an account share one session.
            finished: Called with each result, one at a time.
            stop: Once set, no further account is checked; the targets of those are missing from the results.
        """
        results: dict[Target, TargetVerification] = {}
        lock = threading.Lock()
        if self._archive and any(self._logs_to_archive(self._values(target)) for target in targets):
            self._archive_state = read_archive(self._inventory, self._archive)

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

    def _values(self, target: Target) -> TargetSettings:
        return self._inventory.settings.effective(target.account, target.region).values

    def _logs_to_archive(self, values: TargetSettings) -> bool:
        return self._archive is not None and self._archive.holds_logs_of(values.preferences.s3)

    def _account(self, targets: list[Target]) -> list[TargetVerification]:
        try:
            reader = Reader(self._inventory.session(targets[0].account, targets[0].region))
        except AccessError as error:
            return [TargetVerification(target, failure=str(error)) for target in targets]
        return [TargetVerification(target, tuple(self._target(target, reader))) for target in targets]

    def _target(self, target: Target, reader: Reader) -> list[Check]:
        values = self._values(target)
        if values.preferences.enabled:
            checks = self._preferences(target, values, reader)
        else:
            checks = [not_needed("preferences", "preferences.enabled is false.")]
        checks.append(run_check("roles", lambda: roles(reader, target, values)))
        if target.is_home:
            group = log_group_name(values)
            checks.append(run_check("instance_policy", lambda: instance_policy(reader, target, values, group)))
            if values.config_rule.enabled:
                may_lack = values.config_rule.without_recorder == "skip"
                check = partial(check_recorder, reader.session, target.region, may_lack=may_lack)
                checks.append(run_check("recorder", check))
                # A recorder that is left out leaves out the rule, too.
                if checks[-1].verdict is not Verdict.NOT_NEEDED:
                    checks.append(run_check("config_rule", lambda: config_rule(reader, target, values)))
        hosted = self._inventory.settings.foundation.variables_of(target.account, target.region)
        if "guardrails" in hosted:
            checks.append(run_check("guardrails", lambda: guardrails(reader, target, values, hosted["guardrails"])))
        return checks

    def _preferences(self, target: Target, values: TargetSettings, reader: Reader) -> list[Check]:
        region, group, s3 = target.region, log_group_name(values), values.preferences.s3
        archived = self._archive_state if self._logs_to_archive(values) else None
        key_arn: str | None = None
        instances: list[str] = []

        def key() -> Check:
            nonlocal key_arn
            check, key_arn = session_key(reader, region, values)
            return check

        def ways_to_services() -> Check:
            instances.extend(endpoints.managed_instances(reader, region))
            bucket_region = self._archive.region if self._archive and archived else region
            needed = endpoints.needed_services(
                values.preferences, region, logs_to_cloudwatch=bool(group), bucket_region=bucket_region
            )
            return endpoints.endpoints(reader, region, instances, needed)

        checks = [run_check("session_key", key)]
        if checks[0].verdict in {Verdict.OK, Verdict.NOT_NEEDED}:
            checks.append(run_check("preferences", lambda: preferences(reader, target, values, key_arn)))
        else:
            checks.append(without_key())
        archive_key = archived.key if archived else None
        checks.append(run_check("log_group", lambda: log_group(reader, region, values, group)))
        checks.append(run_check("bucket", lambda: bucket_of_target(reader, target, s3, archive_key)))
        if archived:
            checks.append(archived.policy)
        checks.append(run_check("drift_repair", lambda: drift_repair(reader, target, values)))
        stored = partial(applied_preferences, reader, target, values, key_arn)
        checks.append(run_check("applied_preferences", stored))
        checks.append(run_check("public_sharing", lambda: public_sharing(reader, target, values)))
        checks.append(run_check("keys", lambda: key_protection(reader, region, values, group)))
        checks.append(run_check("endpoints", ways_to_services))
        if s3.enabled:
            checks.append(run_check("logs", lambda: self._logs(target, reader, len(instances))))
        elif group:
            checks.append(run_check("logs", lambda: streams(reader, region, group, len(instances), self._max_log_age)))
        return checks

    def _logs(self, target: Target, reader: Reader, instances: int) -> Check:
        location = log_location(self._inventory, target)
        if location.account is not target.account:
            reader = Reader(self._inventory.session(location.account, location.region))
        return logs(reader, location, instances, self._max_log_age)
