"""The keys of organization.yaml, each with its type, default, limits and description (also in the JSON Schema)."""

from collections.abc import Iterator, Sequence
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from session_manager_fleet.accounts import Matcher
from session_manager_fleet.settings.foundation import Guardrails, LogArchive
from session_manager_fleet.settings.notifications import Notifications
from session_manager_fleet.settings.roles import AccountRole, Roles, StateRole
from session_manager_fleet.settings.target import TargetSettings
from session_manager_fleet.settings.tolerance import Tolerance, ToleranceField
from session_manager_fleet.settings.types import (
    AccountPattern,
    Conflict,
    Date,
    KmsKeyArn,
    OrganizationId,
    Region,
    StrictModel,
    Text,
    refuse,
)

Component = Literal["instance_policy", "config_rule", "preferences"]

# The wave of the log archive and the guardrails, before all others, and that of targets that match no wave, after them.
FOUNDATION = "foundation"
REST = "rest"


# No operating system takes a zero character in a path, and messages quote paths.
NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"


class AccountsSource(StrictModel):
    """Source of the accounts."""

    source: Literal["organizations", "lza", "file"] = "organizations"
    """The Organizations API, a Landing Zone Accelerator configuration, or a YAML or CSV file."""
    path: str | None = Field(None, pattern=NO_CONTROLS)
    """The configuration folder or the file, relative to organization.yaml."""

    @model_validator(mode="after")
    def _path_fits(self) -> Self:
        if self.source == "organizations" and self.path is not None:
            raise ValueError('the source "organizations" takes no path')
        if self.source != "organizations" and not self.path:
            raise ValueError(f'the source "{self.source}" needs a path')
        return self


class State(StrictModel):
    """The S3 bucket of the Terraform states, in the account of the caller or of a role."""

    bucket: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """Name of the bucket; by default session-manager-state-<account>, which is that of the role or the caller."""
    region: Region | None = None
    """Region of the bucket; by default the home region."""
    key_prefix: str = Field("session-manager", pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")
    """Prefix of the object keys of all states."""
    kms_key_arn: KmsKeyArn | None = None
    """KMS key that encrypts the states."""
    role: StateRole | None = None
    """The role that the caller assumes for the states, where their bucket is in another account."""


class OrganizationSettings(StrictModel):
    """The organization, and how to access its accounts."""

    id: OrganizationId
    """Id of the organization; credentials of another organization are refused."""
    home_region: Region | None = None
    """Region of the resources that exist once per account."""
    regions: list[Region] | None = Field(None, min_length=1)
    """All regions to configure, the home region among them."""
    deployment_role: AccountRole
    """The role in every account that apply and destroy assume to change resources."""
    read_role: AccountRole | None = None
    """The role in every account that plan, verify and doctor assume, and the plans of apply and destroy; by default the
    deployment role."""
    accounts: AccountsSource = AccountsSource()
    log_archive_account: AccountPattern | None = Field(None, min_length=1)
    """Id or name of the log-archive account, if the source of the accounts does not know it."""
    audit_account: AccountPattern | None = Field(None, min_length=1)
    """Id or name of the audit account, if the source of the accounts does not know it."""
    state: State = State()

    @field_validator("regions")
    @classmethod
    def _once(cls, regions: list[str] | None) -> list[str] | None:
        if regions is not None and len(set(regions)) < len(regions):
            raise ValueError("a region is listed twice")
        return regions

    @model_validator(mode="after")
    def _regions_known(self) -> Self:
        if self.accounts.source != "lza" and (self.home_region is None or self.regions is None):
            raise ValueError('"home_region" and "regions" are required, except with the source "lza"')
        if self.home_region and self.regions and self.home_region not in self.regions:
            raise ValueError(f'the home region "{self.home_region}" must be one of "regions"')
        return self

    @model_validator(mode="after")
    def _reads_where_it_deploys(self) -> Self:
        read = self.read_role
        if read is not None and self.deployment_role.in_management_account and not read.in_management_account:
            raise ValueError(
                "read_role.in_management_account must be true, as that of the deployment_role: otherwise the "
                "management account would be planned with the deployment role"
            )
        return self

    @property
    def roles(self) -> Roles:
        """The roles in every account."""
        return Roles(self.deployment_role, self.read_role)


class Rendering(StrictModel):
    """How tfvars files are rendered."""

    templates: str | None = Field(None, min_length=1, pattern=NO_CONTROLS)
    """Folder with your terraform.tfvars.j2, relative to organization.yaml."""


class Match(StrictModel):
    """Conditions that must all hold; without any, every target matches."""

    accounts: list[AccountPattern] = Field([], min_length=1)
    """Account ids or globs of account names."""
    ou: str | list[str] = Field([], min_length=1)
    """Globs of organizational unit paths; `**` matches any number of levels."""
    tags: dict[str, str] = Field({}, min_length=1)
    """Tags of the account: all must be present with exactly these values."""
    regions: list[str] = Field([], min_length=1)
    """Names of regions."""
    roles: list[Literal["management", "log-archive", "audit"]] = Field([], min_length=1)
    """Roles of accounts in the organization."""

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, data: object) -> object:
        """Keep null, which here is an emptied condition, not "not set in this layer"."""
        return data

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, value: object, info: ValidationInfo) -> object:
        """Refuse an emptied condition, which would match every target by mistake."""
        if value in (None, "", [], {}):
            raise ValueError(f'the condition "{info.field_name}" is empty; remove it to match every target')
        return value

    @property
    def matcher(self) -> Matcher:
        """The conditions as a `Matcher`."""
        ous = [self.ou] if isinstance(self.ou, str) else self.ou
        return Matcher(accounts=self.accounts, ous=ous, tags=self.tags, regions=self.regions, roles=self.roles)


class SomeTargetSettings(TargetSettings):
    """Settings of some targets."""

    regions: list[Region] | None = Field(None, min_length=1)
    """Regions to configure in these accounts, the home region among them; by default all of the organization."""

    @field_validator("regions")
    @classmethod
    def _listed_once(cls, regions: list[str] | None) -> list[str] | None:
        if regions is not None and len(set(regions)) < len(regions):
            raise ValueError("a region is listed twice")
        return regions


class Override(StrictModel):
    """Values for some targets; later overrides win."""

    match: Match
    set: SomeTargetSettings


class ExceptionEntry(StrictModel):
    """An entry of the exception register: what differs for which targets, who owns it, why, and until when."""

    match: Match
    skip: list[Component] = Field([])
    """Components to leave out."""
    set: SomeTargetSettings = SomeTargetSettings()
    owner: Text
    """Person or team that is responsible for it."""
    reason: Text
    """Why it is necessary."""
    expires: Date
    """Last valid day; after it, plan and apply refuse to run until the entry is removed or renewed."""


class Wave(StrictModel):
    """A group of targets that must be done, within its tolerance, before the next wave starts."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Name for `--wave` and reports."""
    match: Match = Match()
    max_failures: ToleranceField = Tolerance()
    """Failed targets to tolerate: a number, or a percentage such as 5%."""


class SettingsFile(StrictModel):
    """Settings of Session Manager for an AWS organization."""

    schema_version: Literal[1]
    """Version of the file format."""
    organization: OrganizationSettings
    rendering: Rendering = Rendering()
    defaults: TargetSettings = TargetSettings()
    overrides: list[Override] = Field([])
    """Values for the targets that match; they replace defaults, and later overrides win."""
    exceptions: list[ExceptionEntry] = Field([])
    """The exception register; its values replace those of all overrides."""
    notifications: Notifications | None = None
    log_archive: LogArchive | None = None
    guardrails: Guardrails | None = None
    waves: list[Wave] = Field([])
    """Order of the rollout: a target belongs to the first wave that matches it."""

    @field_validator("waves")
    @classmethod
    def _waves_distinct(cls, waves: list[Wave]) -> list[Wave]:
        refuse(_wave_conflicts([wave.name for wave in waves]))
        return waves


def _wave_conflicts(names: Sequence[str]) -> Iterator[Conflict]:
    for number, name in enumerate(names):
        where = ((number, "name"),)
        if name in names[:number]:
            yield Conflict(f'duplicate wave "{name}"', where)
        if name == FOUNDATION:
            yield Conflict(f'the name "{name}" is reserved for the wave of the log archive and the guardrails', where)
        if name == REST and number < len(names) - 1:
            yield Conflict(f'the wave "{name}" is that of targets that match no wave, and must come last', where)
