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
from session_manager_fleet.preferences.preview import (
    INVOCATION_TYPE as INVOCATION_TYPE,
    PREFERENCES_OUTPUT as PREFERENCES_OUTPUT,
    heading_of as heading_of,
    planned_preferences as planned_preferences,
    preview_adoption as preview_adoption,
    preview_destruction as preview_destruction,
    writes_preferences as writes_preferences,
)
from session_manager_fleet.preferences.stored import (
    STORED_PARAMETER as STORED_PARAMETER,
    stored_differences as stored_differences,
)
