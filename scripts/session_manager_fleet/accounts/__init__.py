"""The accounts of the organization: where they come from, and how they are found by name, unit or tag."""

from session_manager_fleet.accounts.file import from_file
from session_manager_fleet.accounts.lza import AwsDirectory, deployment_role, from_lza
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
