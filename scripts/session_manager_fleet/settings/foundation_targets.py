"""Assign the log archive and the guardrails, which exist once in the organization, to their accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from session_manager_fleet.accounts import LOG_ARCHIVE, MANAGEMENT, Account, Organization
from session_manager_fleet.aws import partitions
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings.foundation import LogArchive
from session_manager_fleet.settings.schema import FOUNDATION, Match, SettingsFile, Wave
from session_manager_fleet.yaml_source import YamlDocument

LOG_ARCHIVE_SECTION = "log_archive"
GUARDRAILS_SECTION = "guardrails"


@dataclass(frozen=True)
class FoundationTargets:
    """The accounts that host the log archive and the guardrails, in the home region.

    Attributes:
        home_region: The region.
        variables: Root variables by account id, for these accounts only.
        layers: Settings of all accounts that follow from a section, by section.
    """

    home_region: str
    variables: Mapping[str, Mapping[str, Any]]
    layers: Mapping[str, Mapping[str, Any]]

    @classmethod
    def find(cls, file: SettingsFile, document: YamlDocument, organization: Organization, home_region: str) -> Self:
        """Find the accounts, and derive their variables and the settings of all accounts.

        Raises:
            InputError: The log-archive or management account is not known, or not active.
        """
        variables: dict[str, dict[str, Any]] = {}
        layers: dict[str, Mapping[str, Any]] = {}
        archive = None
        if file.log_archive is not None:
            where = document.where((LOG_ARCHIVE_SECTION,))
            archive = _account(organization, LOG_ARCHIVE, where, "set organization.log_archive_account")
            given = {"organization_id": file.organization.id, **file.log_archive.model_dump(exclude_none=True)}
            variables.setdefault(archive.id, {})[LOG_ARCHIVE_SECTION] = given
            layers[LOG_ARCHIVE_SECTION] = {
                "preferences": {"s3": _s3_of_members(file.log_archive, archive.id, home_region)}
            }
        if file.guardrails is not None:
            where = document.where((GUARDRAILS_SECTION,))
            management = _account(organization, MANAGEMENT, where, 'set "role: management" in the accounts file')
            role = f"arn:{partitions()[home_region]}:iam::*:role/{file.organization.deployment_role.name}"
            given = file.guardrails.model_dump(exclude_none=True)
            given["exempt_role_arns"] = [role, *file.guardrails.exempt_role_arns]
            if file.log_archive is not None and archive is not None:
                given["log_archive"] = _guarded(file.log_archive, archive.id, home_region)
            variables.setdefault(management.id, {})[GUARDRAILS_SECTION] = given
            # The SCP denies changes of this setting; it cannot make the setting.
            layers[GUARDRAILS_SECTION] = {"preferences": {"block_public_sharing": file.guardrails.deny.public_sharing}}
        return cls(home_region, variables, layers)

    def variables_of(self, account: Account, region: str) -> Mapping[str, Any]:
        """Return the root variables of a target that hosts any of them."""
        return self.variables.get(account.id, {}) if region == self.home_region else {}

    @property
    def waves(self) -> tuple[Wave, ...]:
        """The wave of these targets, which comes first; none without them."""
        if not self.variables:
            return ()
        match = Match(accounts=sorted(self.variables), regions=[self.home_region])
        return (Wave(name=FOUNDATION, match=match),)


def _s3_of_members(archive: LogArchive, account_id: str, region: str) -> dict[str, Any]:
    """Return `preferences.s3` of the accounts that log to the archive."""
    key = archive.bucket_key.kms_key_arn
    return {
        "enabled": True,
        "bucket_name": archive.bucket_in(account_id, region),
        "bucket_account_id": account_id,
        "key_prefix": archive.key_prefix,
        **({"kms_key_account_id": account_id} if key is None else {"kms_key_arn": key}),
    }


def _account(organization: Organization, role: str, where: str, advice: str) -> Account:
    found = [account for account in organization.accounts if account.role == role]
    if not found:
        raise InputError(f"The {role} account is not known; {advice}.", where)
    if found[0].skip_reason:
        raise InputError(f"The {role} account {found[0].id} hosts this, but {found[0].skip_reason}.", where)
    return found[0]


def _guarded(archive: LogArchive, account_id: str, region: str) -> dict[str, Any]:
    """Return what the guardrails protect of the log archive: of an existing bucket, only the session logs."""
    created = {
        archive.bucket_key.alias: archive.bucket_key.kms_key_arn is None,
        archive.session_key.alias: archive.session_key.mode == "separate",
    }
    return {
        "bucket_name": archive.bucket_in(account_id, region),
        "key_aliases": [alias for alias, made in created.items() if made],
        **({"key_prefix": archive.key_prefix} if archive.existing_bucket_name else {}),
    }
