"""The roles in the accounts: one that reads, and one that changes."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from session_manager_fleet.accounts import MANAGEMENT, Account
from session_manager_fleet.settings.types import RoleArn, StrictModel

# Limits of AWS STS (AssumeRole, DurationSeconds); a role's own limit is its MaxSessionDuration.
_LEAST_SECONDS, _MOST_SECONDS = 15 * 60, 12 * 60 * 60
# A role that assumes a role gets at most one hour ("role chaining" in the IAM User Guide).
CHAINED_SECONDS = 60 * 60
_UNITS = {"h": 3600, "m": 60, "s": 1}


def _seconds(duration: str) -> int:
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([hms])", duration))


def _session_duration(duration: str) -> str:
    if not _LEAST_SECONDS <= _seconds(duration) <= _MOST_SECONDS:
        raise ValueError(f'"{duration}" is not between 15m and 12h, the limits of AWS STS; 1h suits every caller')
    return duration


# A part of the path that is dots only would name another folder wherever the path became one.
_ROLE_NAME = r"^([A-Za-z0-9+=,.@_-]*[A-Za-z0-9+=,@_-][A-Za-z0-9+=,.@_-]*/)*[A-Za-z0-9+=,.@_-]{1,64}$"
_EXTERNAL_ID = r"^[A-Za-z0-9+=,.@:/_-]{2,1224}$"
_SESSION_NAME = r"^[A-Za-z0-9+=,.@_-]{2,64}$"
_SESSION = "session-manager-rollout"


class AccountRole(StrictModel):
    """A role in every account."""

    name: str = Field(pattern=_ROLE_NAME, max_length=512)
    """Name of the role, or path and name; no ARN."""
    external_id: str | None = Field(None, pattern=_EXTERNAL_ID)
    """External id that its trust policy requires."""
    session_name: str = Field(_SESSION, pattern=_SESSION_NAME)
    """Name of its sessions in CloudTrail."""
    duration: Annotated[str, Field(pattern=r"^([0-9]+[hms])+$"), AfterValidator(_session_duration)] = "1h"
    """How long its credentials are valid: 15m to 12h, and at most 1h if the caller is a role, too."""
    in_management_account: bool = False
    """Whether the role also exists in the management account. Control Tower does not create its role there; without
    it, the caller's credentials are used."""

    @property
    def duration_seconds(self) -> int:
        """How long its credentials are valid, in seconds."""
        return _seconds(self.duration)

    def is_assumed_in(self, account: Account) -> bool:
        """Tell whether the role is assumed in an account; else the caller's credentials are used there."""
        return account.role != MANAGEMENT or self.in_management_account


class StateRole(StrictModel):
    """The role that reads and writes the Terraform states, in the account of their bucket."""

    arn: RoleArn
    """ARN of the role; its account owns the bucket."""
    external_id: str | None = Field(None, pattern=_EXTERNAL_ID)
    """External id that its trust policy requires."""
    session_name: str = Field(_SESSION, pattern=_SESSION_NAME)
    """Name of its sessions in CloudTrail."""

    @property
    def account_id(self) -> str:
        """The account of the role."""
        return self.arn.split(":")[4]


@dataclass(frozen=True)
class Roles:
    """The roles in every account.

    Attributes:
        deployment: Changes resources, in apply and destroy.
        read: Reads, in every other command and in plans; None: the deployment role reads, too.
    """

    deployment: AccountRole
    read: AccountRole | None = None

    @property
    def reader(self) -> AccountRole:
        """The role that reads."""
        return self.read or self.deployment
