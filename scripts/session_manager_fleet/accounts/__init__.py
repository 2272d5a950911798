"""Discover the accounts of the organization, and find them by id, name, organizational unit, tag or role.

An `Organization` comes from the Organizations API (`from_organizations`), a Landing Zone Accelerator configuration
(`from_lza`), a YAML or CSV file (`from_file`), or an earlier discovery (`save`, `from_saved`).
"""

from session_manager_fleet.accounts.file import from_file
from session_manager_fleet.accounts.lza import deployment_role, from_lza
from session_manager_fleet.accounts.lza_files import AwsDirectory
from session_manager_fleet.accounts.matching import Matcher
from session_manager_fleet.accounts.model import (
    AUDIT,
    LOG_ARCHIVE,
    MANAGEMENT,
    ROOT,
    Account,
    Organization,
    find_account,
    with_role,
)
from session_manager_fleet.accounts.organizations_api import from_organizations
from session_manager_fleet.accounts.snapshot import from_saved, save

__all__ = [
    "AUDIT",
    "LOG_ARCHIVE",
    "MANAGEMENT",
    "ROOT",
    "Account",
    "AwsDirectory",
    "Matcher",
    "Organization",
    "deployment_role",
    "find_account",
    "from_file",
    "from_lza",
    "from_organizations",
    "from_saved",
    "save",
    "with_role",
]
