"""Run the checks: several accounts in parallel, the regions of an account one after another."""

import datetime
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby

from session_manager_fleet.errors import AccessError
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Inventory, Target
from session_manager_fleet.verify.archive import archives_of
from session_manager_fleet.verify.archive_state import ArchiveState, read_archive
from session_manager_fleet.verify.catalog import CHECKS
from session_manager_fleet.verify.checks import Place
from session_manager_fleet.verify.model import Check, TargetVerification
from session_manager_fleet.verify.reading import Reader, run_check

# Threads mostly wait for AWS, so there may be many more than processors.
_WORKERS = 16


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
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="verify") as pool:
            for future in [pool.submit(work, chain) for chain in chains]:
                future.result()
        return [results[target] for target in targets if target in results]

    def _values(self, target: Target) -> TargetSettings:
        return self._inventory.settings.effective(target.account, target.region).values

    def _account(self, targets: list[Target]) -> list[TargetVerification]:
        try:
            reader = Reader(self._inventory.session(targets[0].account, targets[0].region))
        except AccessError as error:
            return [TargetVerification(target, failure=str(error)) for target in targets]
        return [TargetVerification(target, tuple(self._target(target, reader))) for target in targets]

    def _target(self, target: Target, reader: Reader) -> list[Check]:
        values = self._values(target)
        s3 = values.preferences.s3
        archive = self._archives.get(s3.bucket_name or "") if s3.enabled else None
        place = Place(self._inventory, target, values, reader, archive, self._max_log_age)
        return [run_check(check.info, reader, partial(check.run, place)) for check in CHECKS if check.applies(place)]
