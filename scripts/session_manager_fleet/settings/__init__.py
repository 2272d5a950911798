"""`organization.yaml` as typed, layered settings; every value knows the line that set it.

`load_settings` reads the file (`ParsedSettings`). Once the accounts are discovered, `Settings.of` completes it, and
`Settings.effective` returns the settings of a target.
"""

from session_manager_fleet.settings.foundation import LogArchive
from session_manager_fleet.settings.json_schema import settings_schema
from session_manager_fleet.settings.layers import EffectiveSettings, Settings
from session_manager_fleet.settings.parsed import ParsedSettings, load_settings
from session_manager_fleet.settings.schema import REST, DeploymentRole, OrganizationSettings, Wave
from session_manager_fleet.settings.target import Preferences, S3Logging, TargetSettings
from session_manager_fleet.settings.tolerance import Tolerance, ToleranceField
from session_manager_fleet.settings.types import region_problem

__all__ = [
    "REST",
    "DeploymentRole",
    "EffectiveSettings",
    "LogArchive",
    "OrganizationSettings",
    "ParsedSettings",
    "Preferences",
    "S3Logging",
    "Settings",
    "TargetSettings",
    "Tolerance",
    "ToleranceField",
    "Wave",
    "load_settings",
    "region_problem",
    "settings_schema",
]
