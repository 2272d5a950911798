"""Discover the accounts of the organization, and find them by id, name, organizational unit, tag or role.

An `Organization` comes from the Organizations API (`from_organizations`), a Landing Zone Accelerator configuration
(`from_lza`), a YAML or CSV file (`from_file`), or an earlier discovery (`save`, `from_saved`).
"""

from session_manager_fleet.accounts.file import from_file as from_file
from session_manager_fleet.accounts.lza import deployment_role as deployment_role, from_lza as from_lza
from session_manager_fleet.accounts.lza_files import AwsDirectory as AwsDirectory
from session_manager_fleet.accounts.matching import (
    Matcher as Matcher,
    account_matches as account_matches,
    ou_matches as ou_matches,
)
from session_manager_fleet.accounts.model import (
    ACTIVE as ACTIVE,
    AUDIT as AUDIT,
    LOG_ARCHIVE as LOG_ARCHIVE,
    MANAGEMENT as MANAGEMENT,
    ROOT as ROOT,
    Account as Account,
    Organization as Organization,
    account_in as account_in,
    find_account as find_account,
    with_role as with_role,
)
from session_manager_fleet.accounts.organizations_api import (
    from_organizations as from_organizations,
    organization_of as organization_of,
)
from session_manager_fleet.accounts.snapshot import from_saved as from_saved, save as save
