"""A check of a target: declared facts, and a judgement of the live state."""

import datetime
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from session_manager_fleet.accounts import Account
from session_manager_fleet.preferences import log_group_name
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Inventory, Target
from session_manager_fleet.verify.model import Check, CheckInfo
from session_manager_fleet.verify.reading import Reader

if TYPE_CHECKING:  # it is read by checks
    from session_manager_fleet.verify.archive_state import ArchiveState
    from session_manager_fleet.verify.outside_changes import States


@dataclass(frozen=True)
class Place:
    """A target that is verified, and what its checks share.

    Attributes:
        inventory: The organization and its settings.
        target: The target.
        values: Its settings.
        reader: In its account; what checks share is read once.
        reader_of: Returns a reader in another account and region, which the targets of a thread share.
        archive: Live state of the log archive, if the session logs of the target go there.
        max_log_age: Maximum age of the newest log of the target, or None for any age.
        states: Reads what the last apply wrote; None if nothing is compared with it.
    """

    inventory: Inventory
    target: Target
    values: TargetSettings
    reader: Reader
    reader_of: Callable[[Account, str], Reader]
    archive: "ArchiveState | None" = None
    max_log_age: datetime.timedelta | None = None
    states: "States | None" = None

    @property
    def region(self) -> str:
        """Region of the target."""
        return self.target.region

    @property
    def log_group(self) -> str:
        """Name of the log group for session logs; empty if they do not go to CloudWatch Logs."""
        return log_group_name(self.values)

    @property
    def hosted(self) -> Mapping[str, Mapping[str, Any]]:
        """Root variables of what the target hosts for the organization: `guardrails`, `log_archive`."""
        return self.inventory.settings.foundation.variables_of(self.target.account, self.target.region)


class TargetCheck(ABC):
    """A check of a target. Checks have no state: what they share is in the place."""

    info: ClassVar[CheckInfo]

    def applies(self, place: Place) -> bool:
        """Tell whether the check says anything about a target; by default where preferences are managed."""
        return place.values.preferences.enabled

    @abstractmethod
    def run(self, place: Place) -> Check:
        """Judge the live state of a target.

        Raises:
            botocore.exceptions.ClientError: AWS refuses a call.
            AccessError: The same, with its reason.
        """
