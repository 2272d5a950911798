"""Assign the log archive and the guardrails, which exist once in the organization, to their accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        variables: Root variables by account id and region, for these targets only.
        layers: Settings of all accounts that follow from a section, by section.
        regional: Settings of all accounts in a region that has a log bucket of its own, by region.
    """

    home_region: str
    variables: Mapping[tuple[str, str], Mapping[str, Any]]
    layers: Mapping[str, Mapping[str, Any]]
    regional: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def find(cls, file: SettingsFile, document: YamlDocument, organization: Organization, home_region: str) -> Self:
        """Find the accounts, and derive their variables and the settings of all accounts.

        Raises:
            InputError: The log-archive or management account is not known, or not active.
        """
        variables: dict[tuple[str, str], dict[str, Any]] = {}
        layers: dict[str, Mapping[str, Any]] = {}
        regional: dict[str, Mapping[str, Any]] = {}
        archive = None
        if file.log_archive is not None:
            where = document.where((LOG_ARCHIVE_SECTION,))
            archive = _account(organization, LOG_ARCHIVE, where, "set organization.log_archive_account")
            _refuse_regions(file, document, home_region)
            buckets = {}
            for region in (home_region, *file.log_archive.regions):
                settings = file.log_archive.in_region(region)
                given = settings.model_dump(exclude={"regions"}, exclude_none=True)
                variables.setdefault((archive.id, region), {})[LOG_ARCHIVE_SECTION] = {
                    "organization_id": file.organization.id,
                    **given,
                }
                buckets[region] = _bucket_of_members(settings, archive.id, region)
            home = buckets.pop(home_region)
            # The instance policy exists once per account, so it allows the buckets of all regions.
            others = {"instance_policy": {"other_log_buckets": list(buckets.values())}} if buckets else {}
            layers[LOG_ARCHIVE_SECTION] = {"preferences": {"s3": {"enabled": True, **home}}, **others}
            # Null removes what only the bucket of the home region has.
            unset = dict.fromkeys(home)
            regional = {region: {"preferences": {"s3": {**unset, **s3}}} for region, s3 in buckets.items()}
        if file.guardrails is not None:
            where = document.where((GUARDRAILS_SECTION,))
            management = _account(organization, MANAGEMENT, where, 'set "role: management" in the accounts file')
            role = f"arn:{partitions()[home_region]}:iam::*:role/{file.organization.deployment_role.name}"
            given = file.guardrails.model_dump(exclude_none=True)
            given["exempt_role_arns"] = [role, *file.guardrails.exempt_role_arns]
            if file.log_archive is not None and archive is not None:
                given["log_archive"] = _guarded(file.log_archive, archive.id, home_region)
            variables.setdefault((management.id, home_region), {})[GUARDRAILS_SECTION] = given
            # The SCP denies changes of this setting; it cannot make the setting.
            layers[GUARDRAILS_SECTION] = {"preferences": {"block_public_sharing": file.guardrails.deny.public_sharing}}
        return cls(home_region, variables, layers, regional)

    def variables_of(self, account: Account, region: str) -> Mapping[str, Any]:
        """Return the root variables of a target that hosts any of them."""
        return self.variables.get((account.id, region), {})

    @property
    def waves(self) -> tuple[Wave, ...]:
        """The wave of these targets, which comes first; none without them."""
        regions: dict[str, list[str]] = {}
        for account_id, region in self.variables:
            regions.setdefault(region, []).append(account_id)
        # One wave, whose targets no single matcher has.
        return tuple(
            Wave(name=FOUNDATION, match=Match(accounts=sorted(accounts), regions=[region]))
            for region, accounts in regions.items()
        )


def _refuse_regions(file: SettingsFile, document: YamlDocument, home_region: str) -> None:
    """Refuse regions of the log archive that are not configured, or have its bucket anyway.

    Raises:
        InputError: There is one.
    """
    known = file.organization.regions
    for region in file.log_archive.regions if file.log_archive else ():
        where = document.where((LOG_ARCHIVE_SECTION, "regions"))
        if region == home_region:
            raise InputError(f"{region} is the home region: its bucket is that of the section itself.", where)
        if known is not None and region not in known:
            raise InputError(f"{region} is none of organization.regions, so nothing would make its bucket.", where)


def _bucket_of_members(archive: LogArchive, account_id: str, region: str) -> dict[str, Any]:
    """Return what accounts that log to the bucket of a region must know of it, as in `preferences.s3`."""
    key = archive.bucket_key.kms_key_arn
    return {
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
    buckets = [archive.in_region(each) for each in (region, *archive.regions)]
    created = {
        archive.bucket_key.alias: any(each.bucket_key.kms_key_arn is None for each in buckets),
        archive.session_key.alias: archive.session_key.mode == "separate",
    }
    home, *others = [
        {
            "bucket_name": each.bucket_in(account_id, where),
            **({"key_prefix": each.key_prefix} if each.existing_bucket_name else {}),
        }
        for each, where in zip(buckets, (region, *archive.regions), strict=True)
    ]
    return {
        **home,
        "key_aliases": [alias for alias, made in created.items() if made],
        **({"other_buckets": others} if others else {}),
    }
