"""Write a first organization.yaml for an organization, with comments on what to decide."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from session_manager_fleet.accounts import ROOT, Account, Organization

CONTROL_TOWER_ROLE = "AWSControlTowerExecution"
ORGANIZATIONS_ROLE = "OrganizationAccountAccessRole"

# Names of these accounts in Control Tower and in Landing Zone Accelerator.
_LOG_ARCHIVE = re.compile(r"log[ -_]?archive", re.IGNORECASE)
_AUDIT = re.compile(r"(security[ -_]?)?audit", re.IGNORECASE)
_FIRST_UNIT = re.compile(r"(non[ -_]?prod|dev|test|sandbox)", re.IGNORECASE)


@dataclass(frozen=True)
class Draft:
    """Facts and decisions of a first organization.yaml.

    Attributes:
        organization: The organization, with its id.
        home_region: Region of what exists once per account.
        regions: All regions to configure, the home region among them.
        role: Name of the deployment role.
        state_bucket: Name of the state bucket; empty for the default.
        lza: Landing Zone Accelerator folder relative to the file; empty for the Organizations API.
        root_id: Id of the root of the organization, or empty.
    """

    organization: Organization
    home_region: str
    regions: Sequence[str]
    role: str
    state_bucket: str = ""
    lza: str = ""
    root_id: str = ""

    def text(self) -> str:
        """Return the file."""
        archive, audit = log_archive_of(self.organization), _named(self.organization, _AUDIT)
        lines = [
            "# Settings of Session Manager for the organization, written by `init`; docs/organization.md has all keys.",
            "schema_version: 1",
            "",
            "organization:",
            f"  id: {self.organization.id} # credentials of another organization are refused",
            f"  home_region: {self.home_region} # region of what exists once per account",
            f"  regions: [{', '.join(self.regions)}] # all regions to configure",
            "  # The role in every account that Terraform assumes. With in_management_account: true, there too.",
            f"  deployment_role: {{name: {json.dumps(self.role)}}}",
            f"  accounts: {self._source()}",
            *_account_line("log_archive_account", archive, self.lza),
            *_account_line("audit_account", audit, self.lza),
            *([f"  state: {{bucket: {self.state_bucket}, region: {self.home_region}}}"] if self.state_bucket else []),
            "",
            *_log_archive_lines(archive),
            "",
            "# A service control policy that protects Session Manager: enable this type of policy in the organization,",
            "# and try it on one unit before the root.",
            "# guardrails:",
            f"#   attach_to: [{self.root_id or 'r-ab12'}]",
            "",
            "# Settings of all targets; omitted ones have the defaults of the root module's variables.tf.",
            "defaults:",
            "  preferences:",
            "    idle_session_timeout: 20 # minutes",
            "    max_session_duration: 60",
            "  tags: {managed-by: session-manager-fleet}",
            "",
            "# Settings of some targets; later ones win.",
            "# overrides:",
            f"#   - match: {{ou: {json.dumps(self._some_unit())}}}",
            "#     set: {preferences: {idle_session_timeout: 15}}",
            "",
            "# Order of the rollout; a wave starts when the one before is done.",
            "waves:",
            *self._waves(),
        ]
        return "\n".join(lines) + "\n"

    def _source(self) -> str:
        return f"{{source: lza, path: {json.dumps(self.lza)}}}" if self.lza else "{source: organizations}"

    def _some_unit(self) -> str:
        units = self.organization.organizational_units
        return f"{units[-1]}/**" if units else "Workloads/**"

    def _waves(self) -> list[str]:
        populated = {account.ou for account in self.organization.accounts if not account.skip_reason} - {ROOT}
        first = next((unit for unit in sorted(populated) if _FIRST_UNIT.match(unit.rpartition("/")[2])), None)
        canary = [f"  - {{name: canary, match: {{ou: {json.dumps(first)}}}}}"] if first else []
        return [*canary, "  - {name: everyone, max_failures: 5%}"]


def log_archive_of(organization: Organization) -> Account | None:
    """Return the log-archive account by its name in Control Tower or Landing Zone Accelerator, if there is one."""
    return _named(organization, _LOG_ARCHIVE)


def _named(organization: Organization, pattern: re.Pattern[str]) -> Account | None:
    found = [
        account for account in organization.accounts if not account.skip_reason and pattern.fullmatch(account.name)
    ]
    return found[0] if len(found) == 1 else None


def _account_line(key: str, account: Account | None, lza: str) -> list[str]:
    if lza and account is not None and account.role:
        return []  # the configuration of Landing Zone Accelerator names it
    if account is None:
        return [f'  # {key}: "111122223333" # by id or name']
    return [f'  {key}: "{account.id}" # {json.dumps(account.name)}']


def _log_archive_lines(archive: Account | None) -> list[str]:
    comment = "# The bucket that all accounts log their sessions to, in the log-archive account and the home region."
    section = ["log_archive:", "  retention: {days: 400}"]
    return [comment, *(section if archive else [f"# {line}" for line in section])]
