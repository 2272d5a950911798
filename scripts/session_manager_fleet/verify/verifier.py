"""Run the checks: several accounts in parallel, the regions of an account one after another."""

import datetime
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby

import boto3

from session_manager_fleet.accounts import Account
from session_manager_fleet.errors import AccessError
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import READING_THREADS, Inventory, PolicyException, SharedClients, Target, register
from session_manager_fleet.verify.archive import archives_of
from session_manager_fleet.verify.archive_state import ArchiveState, read_archive
from session_manager_fleet.verify.catalog import CHECKS
from session_manager_fleet.verify.checks import Place
from session_manager_fleet.verify.model import Check, TargetVerification, explained
from session_manager_fleet.verify.outside_changes import States
from session_manager_fleet.verify.reading import Reader, run_check

# Credentials in files may be replaced while thousands of accounts are read.
_CALLER_SECONDS = 300


class _OfThread(threading.local):
    """State of one thread: readers and sessions are not for several."""

    def __init__(self) -> None:
        self.caller: boto3.Session | None = None
        self.caller_since = 0.0
        # By account: those that several targets need, such as that of the log archive.
        self.others: dict[str, Reader] = {}


class Verifier:
    """Verifies targets of an organization.

    Args:
        inventory: The organization and its settings.
        max_log_age: Maximum age of the newest log of a target, or None for any age.
    """

    def __init__(self, inventory: Inventory, max_log_age: datetime.timedelta | None = None) -> None:
        self._inventory = inventory
        self._max_log_age = max_log_age
        # By bucket; read once, because they are the same for all targets.
        self._archives: dict[str, ArchiveState] = {}
        self._exceptions: Sequence[PolicyException] = ()
        self._clients = SharedClients()
        self._states = States(inventory)
        self._of_thread = _OfThread()

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
        today = datetime.datetime.now(datetime.UTC).date()
        self._exceptions = register(self._inventory.settings, targets, today)
        lock = threading.Lock()
        buckets = {s3.bucket_name for s3 in (self._values(target).preferences.s3 for target in targets) if s3.enabled}
        for archive in archives_of(self._inventory):
            if archive.bucket in buckets:
                self._archives[archive.bucket] = read_archive(self._inventory, archive)

        def work(chain: list[Target]) -> None:
            if stop.is_set():
                return
            for one in self._account(chain):
                with lock:
                    results[one.target] = one
                    finished(one)

        by_account = sorted(targets, key=lambda target: target.account.id)
        chains = [list(chain) for _, chain in groupby(by_account, key=lambda target: target.account.id)]
        with ThreadPoolExecutor(READING_THREADS, thread_name_prefix="verify") as pool:
            for future in [pool.submit(work, chain) for chain in chains]:
                future.result()
        return [results[target] for target in targets if target in results]

    def _values(self, target: Target) -> TargetSettings:
        return self._inventory.settings.effective(target.account, target.region).values

    def _account(self, targets: list[Target]) -> list[TargetVerification]:
        try:
            reader = self._reader(targets[0].account, targets[0].region)
        except AccessError as error:
            return [TargetVerification(target, failure=str(error)) for target in targets]
        return [TargetVerification(target, tuple(self._target(target, reader))) for target in targets]

    def _reader(self, account: Account, region: str) -> Reader:
        """Return a reader in an account.

        Raises:
            AccessError: The role cannot be assumed.
        """
        mine, now = self._of_thread, time.monotonic()
        if mine.caller is None or now - mine.caller_since > _CALLER_SECONDS:
            mine.caller, mine.caller_since = self._inventory.caller(account, region), now
        return Reader(self._inventory.identity(account, region, mine.caller), self._clients)

    def _other(self, account: Account, region: str) -> Reader:
        """Return a reader in an account that several targets need, such as that of the log archive."""
        others = self._of_thread.others
        if account.id not in others:
            others[account.id] = self._reader(account, region)
        return others[account.id]

    def _target(self, target: Target, reader: Reader) -> list[Check]:
        values = self._values(target)
        s3 = values.preferences.s3
        archive = self._archives.get(s3.bucket_name or "") if s3.enabled else None
        place = Place(self._inventory, target, values, reader, self._other, archive, self._max_log_age, self._states)
        exceptions = [one for one in self._exceptions if target.key in one.targets]
        return [
            explained(run_check(check.info, reader, partial(check.run, place)), check.info, exceptions)
            for check in CHECKS
            if check.applies(place)
        ]
