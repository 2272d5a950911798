"""Where what exists once in the organization belongs: the log archive and the guardrails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from session_manager_fleet.accounts import LOG_ARCHIVE, MANAGEMENT, Account, Organization
from session_manager_fleet.aws import partitions
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings.foundation import Guardrails, LogArchive
from session_manager_fleet.settings.schema import FOUNDATION, Match, Wave

if TYPE_CHECKING:
    from session_manager_fleet.settings.schema import SettingsFile
    from session_manager_fleet.yaml_source import YamlDocument

LOG_ARCHIVE_SECTION = "log_archive"
GUARDRAILS_SECTION = "guardrails"


@dataclass(frozen=True)
class Placement:
    """What is placed where, in the home region.

    Attributes:
        home_region: The region.
        variables: Variables of the root module that only these accounts have, by account id.
        layers: Settings of all accounts that follow, by the section that they follow from.
    """

    home_region: str = ""
    variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def variables_of(self, account: Account, region: str) -> Mapping[str, Any]:
        """Return the variables that only this target has."""
        return self.variables.get(account.id, {}) if region == self.home_region else {}

    @property
    def waves(self) -> tuple[Wave, ...]:
        """The wave of these targets, which all others build on."""
        if not self.variables:
            return ()
        match = Match(accounts=sorted(self.variables), regions=[self.home_region])
        return (Wave(name=FOUNDATION, match=match),)


def place(parsed: SettingsFile, document: YamlDocument, organization: Organization, home_region: str) -> Placement:
    """Find the accounts, and work out what they and all others get.

    Raises:
        InputError: The account that something belongs to is not known.
    """
    variables: dict[str, dict[str, Any]] = {}
    layers: dict[str, Mapping[str, Any]] = {}
    archive = None
    if parsed.log_archive is not None:
        where = document.where((LOG_ARCHIVE_SECTION,))
        advice = "name it in organization.log_archive_account"
        archive = _account(organization, LOG_ARCHIVE, where, advice)
        given = _log_archive(parsed.log_archive, parsed.organization.id)
        variables.setdefault(archive.id, {})[LOG_ARCHIVE_SECTION] = given
        layers[LOG_ARCHIVE_SECTION] = {"preferences": {"s3": members_s3(parsed.log_archive, archive.id, home_region)}}
    if parsed.guardrails is not None:
        where = document.where((GUARDRAILS_SECTION,))
        management = _account(organization, MANAGEMENT, where, 'give it "role: management" in the file of accounts')
        role = f"arn:{partitions()[home_region]}:iam::*:role/{parsed.organization.deployment_role.name}"
        given = _guardrails(parsed.guardrails, role)
        if parsed.log_archive is not None and archive is not None:
            given["log_archive"] = _guarded(parsed.log_archive, archive.id, home_region)
        variables.setdefault(management.id, {})[GUARDRAILS_SECTION] = given
        # An SCP can keep this setting of every account and region, not make it.
        layers[GUARDRAILS_SECTION] = {"preferences": {"block_public_sharing": parsed.guardrails.deny.public_sharing}}
    return Placement(home_region, variables, layers)


def members_s3(archive: LogArchive, account_id: str, region: str) -> dict[str, Any]:
    """Return the settings `preferences.s3` of every account that logs to the archive."""
    key = archive.bucket_key.kms_key_arn
    return {
        "enabled": True,
        "bucket_name": archive.bucket_in(account_id, region),
        "key_prefix": archive.key_prefix,
        **({"kms_key_account_id": account_id} if key is None else {"kms_key_arn": key}),
    }


def _account(organization: Organization, role: str, where: str, advice: str) -> Account:
    found = [account for account in organization.accounts if account.role == role]
    if not found:
        raise InputError(f"Which account is the {role} account is not known: {advice}.", where)
    if found[0].skip_reason:
        raise InputError(f"This belongs to the {role} account {found[0].id}, but {found[0].skip_reason}.", where)
    return found[0]


def _log_archive(archive: LogArchive, organization_id: str) -> dict[str, Any]:
    given = archive.model_dump(exclude_none=True)
    return {"organization_id": organization_id, **given}


def _guarded(archive: LogArchive, account_id: str, region: str) -> dict[str, Any]:
    """Return what the guardrails keep of the log archive: of a bucket that others use, too, the session logs only."""
    created = {
        archive.bucket_key.alias: archive.bucket_key.kms_key_arn is None,
        archive.session_key.alias: archive.session_key.mode == "separate",
    }
    return {
        "bucket_name": archive.bucket_in(account_id, region),
        "key_aliases": [alias for alias, made in created.items() if made],
        **({"key_prefix": archive.key_prefix} if archive.existing_bucket_name else {}),
    }


def _guardrails(guardrails: Guardrails, deployment_role: str) -> dict[str, Any]:
    given = guardrails.model_dump(exclude_none=True)
    return {**given, "exempt_role_arns": [deployment_role, *guardrails.exempt_role_arns]}
