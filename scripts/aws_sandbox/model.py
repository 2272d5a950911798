"""The emulated organization as data."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ACTIVE = "ACTIVE"
SUSPENDED = "SUSPENDED"

# An account outside the organization.
OUTSIDER_ACCOUNT_ID = "987612340567"

# Prefix of the operations on the emulator itself, such as `idle`.
CONTROL_PATH = "/sandbox/"
# Header with the random token that only the process knows which started the emulator.
CONTROL_TOKEN_HEADER = "X-Sandbox-Token"  # noqa: S105 - the name, not the token


class SandboxError(Exception):
    """The emulated organization cannot be started or reached."""


@dataclass(frozen=True)
class SandboxLimits:
    """Quotas of AWS that are not the same everywhere.

    Attributes:
        scp_characters: Length of a service control policy: 10,240 since May 2026, 5,120 before.
        scps_per_target: Service control policies attached to a root, unit or account: 10 since May 2026, 5 before.
    """

    scp_characters: int = 10_240
    scps_per_target: int = 10


@dataclass(frozen=True)
class SandboxDelays:
    """Seconds after which AWS follows a change; 0 for at once.

    Attributes:
        iam_seconds: New and changed roles, users and policies: seconds, up to two minutes in AWS.
        alias_seconds: Aliases in the condition key `kms:ResourceAliases`: up to five minutes in AWS.
    """

    iam_seconds: float = 0
    alias_seconds: float = 0


@dataclass(frozen=True)
class SandboxAccount:
    """An account of the emulated organization.

    Attributes:
        id: Twelve digits.
        name: Account name in Organizations.
        email: Address of the root user.
        ou: Path of organizational unit names (`Workloads/Prod`); empty = directly under the root.
        tags: Tags of the account in Organizations.
        status: `ACTIVE` or `SUSPENDED`.
        disabled_regions: Opt-in regions of the organization that are not enabled in the account.
        sts_inactive_regions: Regions in which the account has deactivated STS.
    """

    id: str
    name: str
    email: str
    ou: str
    tags: Mapping[str, str] = field(default_factory=dict)
    status: str = ACTIVE
    disabled_regions: tuple[str, ...] = ()
    sts_inactive_regions: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SandboxAccount:
        """Build the account from the result of `dataclasses.asdict`, as JSON keeps it."""
        values: Any = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return cls(**values)


@dataclass(frozen=True)
class SandboxOrganization:
    """The organization to emulate.

    Attributes:
        id: `o-` and 10 to 32 lower-case letters or digits.
        management_account_id: One of `accounts`.
        accounts: All accounts, including the management account and suspended ones.
        organizational_units: Paths of all organizational units, including empty ones; parents may be omitted.
        home_region: Region of global resources, in which AWS Config records IAM.
        regions: Regions in use; the home region is one of them.
        deployment_role: Name of the role in every account that trusts the management account; may carry a path.
        name: Display name.

    Raises:
        SandboxError: The values are invalid or conflict.
    """

    id: str
    management_account_id: str
    accounts: tuple[SandboxAccount, ...]
    organizational_units: tuple[str, ...]
    home_region: str
    regions: tuple[str, ...]
    deployment_role: str = "AWSControlTowerExecution"
    name: str = "Sandbox"

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SandboxError(f"The organization {self.id} cannot be emulated: {'; '.join(problems)}.")

    def _problems(self) -> Iterator[str]:
        if not re.fullmatch(r"o-[a-z0-9]{10,32}", self.id):
            yield "its id must be `o-` and 10 to 32 lower-case letters or digits"
        for account in self.accounts:
            if not re.fullmatch(r"\d{12}", account.id):
                yield f"the id of account {account.name}, {account.id!r}, is not twelve digits"
            if account.status not in {ACTIVE, SUSPENDED}:
                yield f"account {account.id} is {account.status}, which is neither {ACTIVE} nor {SUSPENDED}"
        for account_id, uses in Counter(account.id for account in self.accounts).items():
            if uses > 1:
                yield f"account {account_id} is listed {uses} times"
        if any(account.id == OUTSIDER_ACCOUNT_ID for account in self.accounts):
            yield f"the account {OUTSIDER_ACCOUNT_ID} is reserved for the account outside the organization"
        if not any(a.id == self.management_account_id and a.status == ACTIVE for a in self.accounts):
            yield f"the management account {self.management_account_id} is not one of its active accounts"
        if self.home_region not in self.regions:
            yield f"the home region {self.home_region} is not one of its regions"

    @property
    def active_accounts(self) -> tuple[SandboxAccount, ...]:
        """Active accounts, including the management account."""
        return tuple(account for account in self.accounts if account.status == ACTIVE)

    @property
    def members(self) -> tuple[SandboxAccount, ...]:
        """Active accounts without the management account."""
        return tuple(a for a in self.active_accounts if a.id != self.management_account_id)

    def role_arn(self, account_id: str) -> str:
        """Return the ARN of the deployment role in an account."""
        return f"arn:aws:iam::{account_id}:role/{self.deployment_role}"

    def unit_paths(self) -> tuple[str, ...]:
        """Return the paths of all organizational units, parents before their children."""
        paths = {path for path in (*self.organizational_units, *(a.ou for a in self.accounts)) if path}
        for path in tuple(paths):
            parts = path.split("/")
            paths.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
        return tuple(sorted(paths, key=lambda path: (path.count("/"), path)))

    def root_id(self) -> str:
        """Return the id of the root, derived from the organization id."""
        return f"r-{_letters(self.id, 4)}"

    def unit_id(self, path: str) -> str:
        """Return the id of an organizational unit, derived from organization id and path."""
        return f"ou-{_letters(self.id, 4)}-{_letters(self.id + path, 8)}"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SandboxOrganization:
        """Build the organization from the result of `dataclasses.asdict`."""
        return cls(
            **{
                **data,
                "accounts": tuple(SandboxAccount.from_dict(account) for account in data["accounts"]),
                "organizational_units": tuple(data["organizational_units"]),
                "regions": tuple(data["regions"]),
            }
        )


def _letters(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def default_organization() -> SandboxOrganization:
    """Return the organization of the demo: six active accounts, one suspended, nested organizational units."""

    def account(account_id: str, name: str, ou: str, *, status: str = ACTIVE, **tags: str) -> SandboxAccount:
        return SandboxAccount(account_id, name, f"aws+{name.lower()}@example.com", ou, tags, status)

    return SandboxOrganization(
        id="o-sandbox1234",
        name="Sandbox",
        management_account_id="380917246553",
        accounts=(
            account("380917246553", "Management", "", environment="core", team="platform"),
            account("614208975316", "LogArchive", "Security", environment="core", data="restricted", team="security"),
            account("275839064127", "Audit", "Security", environment="core", data="internal", team="security"),
            account(
                "902764185309", "Payments", "Workloads/Prod", environment="prod", data="restricted", team="payments"
            ),
            account("158346729082", "Webshop", "Workloads/NonProd", environment="dev", data="public", team="webshop"),
            account("749510263841", "Legacy", "Workloads/Prod", environment="prod", data="internal", team="operations"),
            account("436192807765", "Retired", "Suspended", status=SUSPENDED, environment="prod", team="operations"),
        ),
        organizational_units=(
            "Security",
            "Workloads",
            "Workloads/Prod",
            "Workloads/NonProd",
            "Sandbox",
            "Suspended",
        ),
        home_region="eu-west-1",
        regions=("eu-west-1", "us-east-1"),
    )
