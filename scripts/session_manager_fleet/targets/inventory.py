"""The inventory: settings, organization and regions, checked against each other."""

from dataclasses import dataclass
from pathlib import Path

import boto3

from session_manager_fleet.accounts import (
    AUDIT,
    LOG_ARCHIVE,
    Account,
    AwsDirectory,
    Organization,
    from_file,
    from_lza,
    from_organizations,
    from_saved,
    with_role,
)
from session_manager_fleet.aws import new_session, partitions, translated_errors
from session_manager_fleet.errors import AccessError, InputError, Problem
from session_manager_fleet.settings import ParsedSettings, Settings, load_settings, region_problem
from session_manager_fleet.targets.clients import Identity
from session_manager_fleet.targets.model import Selection, TargetList, select_targets
from session_manager_fleet.targets.session import account_session, assumed, caller_session
from session_manager_fleet.yaml_source import refuse_links_out


@dataclass(frozen=True)
class Inventory:
    """An organization and the settings that apply to it.

    Attributes:
        settings: organization.yaml.
        organization: All accounts.
        home_region: Region of what exists once per account.
        regions: All regions to configure, the home region among them.
    """

    settings: Settings
    organization: Organization
    home_region: str
    regions: tuple[str, ...]

    @classmethod
    def load(cls, path: Path, *, with_tags: bool = False, read_from: Path | None = None) -> "Inventory":
        """Read the settings, discover the accounts and check both against each other.

        Args:
            path: organization.yaml.
            with_tags: Ask for account tags even if the settings do not need them.
            read_from: File of a saved discovery, used instead of the source of the accounts.

        Raises:
            InputError: The settings or the source of the accounts are invalid, or the source lacks account tags that
                are needed.
            AccessError: The Organizations API could not be called.
        """
        parsed = load_settings(path)
        with_tags = with_tags or parsed.uses_tags
        if read_from is None:
            organization = _discover(parsed, with_tags=with_tags)
            source = parsed.document.where(("organization", "accounts"))
        else:
            organization, source = from_saved(read_from), str(read_from)
        if with_tags and not organization.has_tags:
            message = "Account tags are needed, and this source has none: use the Organizations API, or save tags too."
            raise InputError(message, source)
        organization = _with_roles(organization, parsed)
        given = parsed.organization
        home_region = given.home_region or organization.home_region
        regions = tuple(given.regions or organization.regions)
        where = parsed.document.where(("organization", "accounts"))
        if problems := [found for region in (str(home_region), *regions) if (found := region_problem(region))]:
            raise InputError([Problem(f"{problem}.", where) for problem in dict.fromkeys(problems)])
        if home_region is None or home_region not in regions:
            raise InputError(f"The home region {home_region} must be one of {', '.join(regions)}.", where)
        if len({partitions()[region] for region in regions}) > 1:
            where = parsed.document.where(("organization", "regions"))
            raise InputError("The regions belong to different AWS partitions; use regions of one partition.", where)
        settings = Settings.of(parsed, organization, home_region)
        settings.check_against(organization, home_region, regions)
        _check_account_regions(organization, home_region, regions, source)
        return cls(settings, organization, home_region, regions)

    def select(self, selection: Selection) -> TargetList:
        """Return the selected targets in the order of work.

        Raises:
            InputError: The selection names something that does not exist.
        """
        return select_targets(
            self.organization,
            home_region=self.home_region,
            regions=self.regions,
            waves=self.settings.waves,
            selection=selection,
            regions_of=self.regions_of,
        )

    def regions_of(self, account: Account) -> tuple[str, ...]:
        """Return the regions to configure in an account."""
        return self.settings.regions_of(account, self.regions)

    def check_settings(self, targets: TargetList) -> None:
        """Refuse settings that conflict for any of the targets.

        Raises:
            InputError: With each problem once.
        """
        problems: dict[tuple[str, str], Problem] = {}
        for target in targets.targets:
            try:
                self.settings.effective(target.account, target.region)
            except InputError as error:
                for problem in error.problems:
                    problems.setdefault((problem.location, problem.message.split(": ", 1)[-1]), problem)
        if problems:
            raise InputError(list(problems.values()))

    def session(self, account: Account, region: str) -> boto3.Session:
        """Return a session in an account that reads, with the role of plans.

        Raises:
            AccessError: The role cannot be assumed.
        """
        return account_session(account, region, self.home_region, self.settings.organization.roles.reader)

    def caller(self, account: Account, region: str) -> boto3.Session:
        """Return a session with the caller's credentials.

        Args:
            account: The account that it is made for, for errors.
            region: Default region of clients.

        Raises:
            AccessError: There are no usable credentials.
        """
        return caller_session(account, region)

    def identity(self, account: Account, region: str, caller: boto3.Session) -> Identity:
        """Return as whom an account is read: like `session`, without the cost of a session.

        Raises:
            AccessError: The role cannot be assumed, or the caller has no credentials.
        """
        role = self.settings.organization.roles.reader
        if role.is_assumed_in(account):
            return Identity(*assumed(caller, account, region, self.home_region, role))
        if credentials := caller.get_credentials():
            return Identity(credentials)
        raise AccessError("There are no AWS credentials; set AWS_PROFILE or sign in.")


def _discover(settings: ParsedSettings, *, with_tags: bool) -> Organization:
    source = settings.organization.accounts
    region = settings.organization.home_region
    if source.source == "organizations":
        assert region is not None  # noqa: S101 - the settings model requires it for this source
        with translated_errors("use the AWS credentials"):
            session = new_session(region)
        return from_organizations(session, region, with_tags=with_tags)
    path = settings.folder / (source.path or "")
    written = Path(source.path or "")
    refuse_links_out(path, path.parent if written.is_absolute() or ".." in written.parts else settings.folder)
    return from_lza(path, AwsDirectory(region)) if source.source == "lza" else from_file(path)


def _check_account_regions(organization: Organization, home_region: str, regions: tuple[str, ...], source: str) -> None:
    """Refuse regions of accounts that the organization does not use, or that lack the home region.

    Raises:
        InputError: With every problem.
    """
    problems: list[str] = []
    for account in organization.accounts:
        named = f"the account {account.id} ({account.name})"
        if unknown := [region for region in account.regions if region not in regions]:
            problems.append(
                f"The regions of {named} are not all used: {', '.join(unknown)}; add them to organization.regions."
            )
        if account.regions and home_region not in account.regions:
            problems.append(
                f"The regions of {named} lack the home region {home_region}, which has what exists once per account."
            )
    if problems:
        raise InputError([Problem(problem, source) for problem in problems])


def _with_roles(organization: Organization, settings: ParsedSettings) -> Organization:
    """Assign the account roles that the settings name; the source of the accounts may have assigned others.

    Raises:
        InputError: With every role that cannot be assigned.
    """
    given = settings.organization
    problems: list[Problem] = []
    for role, account, key in (
        (LOG_ARCHIVE, given.log_archive_account, "log_archive_account"),
        (AUDIT, given.audit_account, "audit_account"),
    ):
        if account is not None:
            try:
                organization = with_role(organization, role, account, settings.document.where(("organization", key)))
            except InputError as error:
                problems.extend(error.problems)
    if problems:
        raise InputError(problems)
    return organization
