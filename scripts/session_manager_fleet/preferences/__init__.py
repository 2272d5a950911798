"""The live preferences document compared with the expected one."""

from session_manager_fleet.preferences.compare import (
    DocumentChange as DocumentChange,
    VerificationError as VerificationError,
    document_client as document_client,
    verify_preferences as verify_preferences,
)
from session_manager_fleet.preferences.expected import (
    expected_preferences as expected_preferences,
    log_group_name as log_group_name,
)
from session_manager_fleet.preferences.live import (
    WantedPreferences as WantedPreferences,
    live_differences as live_differences,
    wanted_preferences as wanted_preferences,
)
from session_manager_fleet.preferences.nodes import (
    Demands as Demands,
    Effect as Effect,
    Lockout as Lockout,
    Node as Node,
    NodeKind as NodeKind,
    Nodes as Nodes,
    enclosed_instances as enclosed_instances,
    find_denials as find_denials,
    find_lockouts as find_lockouts,
    has_way_out as has_way_out,
    managed_instances as managed_instances,
    missing_services as missing_services,
    read_demands as read_demands,
    read_nodes as read_nodes,
    read_role as read_role,
    registered_nodes as registered_nodes,
)
from session_manager_fleet.preferences.preview import (
    INVOCATION_TYPE as INVOCATION_TYPE,
    PREFERENCES_OUTPUT as PREFERENCES_OUTPUT,
    heading_of as heading_of,
    planned_preferences as planned_preferences,
    preferences_before as preferences_before,
    preview_adoption as preview_adoption,
    preview_destruction as preview_destruction,
    writes_preferences as writes_preferences,
)
from session_manager_fleet.preferences.stored import (
    ORIGINAL_PARAMETER as ORIGINAL_PARAMETER,
    STORED_PARAMETER as STORED_PARAMETER,
    stored_differences as stored_differences,
)
