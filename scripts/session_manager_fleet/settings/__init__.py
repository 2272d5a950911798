"""`organization.yaml` as typed, layered settings; every value knows the line that set it.

`load_settings` reads the file (`ParsedSettings`). Once the accounts are discovered, `Settings.of` completes it, and
`Settings.effective` returns the settings of a target.
"""

from session_manager_fleet.settings.draft import (
    CONTROL_TOWER_ROLE as CONTROL_TOWER_ROLE,
    ORGANIZATIONS_ROLE as ORGANIZATIONS_ROLE,
    Draft as Draft,
    log_archive_of as log_archive_of,
)
from session_manager_fleet.settings.foundation import Guardrails as Guardrails, LogArchive as LogArchive
from session_manager_fleet.settings.json_schema import settings_schema as settings_schema
from session_manager_fleet.settings.layers import EffectiveSettings as EffectiveSettings, Settings as Settings
from session_manager_fleet.settings.log_destinations import (
    CloudWatchLogging as CloudWatchLogging,
    S3Logging as S3Logging,
)
from session_manager_fleet.settings.model_schema import schema_of as schema_of
from session_manager_fleet.settings.notifications import Notifications as Notifications, Webhook as Webhook
from session_manager_fleet.settings.parsed import ParsedSettings as ParsedSettings, load_settings as load_settings
from session_manager_fleet.settings.roles import (
    CHAINED_SECONDS as CHAINED_SECONDS,
    AccountRole as AccountRole,
    Roles as Roles,
    StateRole as StateRole,
)
from session_manager_fleet.settings.schema import (
    FOUNDATION as FOUNDATION,
    REST as REST,
    Component as Component,
    OrganizationSettings as OrganizationSettings,
    Wave as Wave,
)
from session_manager_fleet.settings.target import Preferences as Preferences, TargetSettings as TargetSettings
from session_manager_fleet.settings.tolerance import Tolerance as Tolerance, ToleranceField as ToleranceField
from session_manager_fleet.settings.types import (
    SOVEREIGN_PARTITION as SOVEREIGN_PARTITION,
    region_problem as region_problem,
)
