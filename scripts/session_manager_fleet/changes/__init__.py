"""A Terraform plan as a normalized change set with a fingerprint."""

from session_manager_fleet.changes.change_set import (
    ACTIONS as ACTIONS,
    AttributeChange as AttributeChange,
    ChangeSet as ChangeSet,
    PlanOutcome as PlanOutcome,
    ResourceChange as ResourceChange,
    change_set_of as change_set_of,
    forgets as forgets,
    protected_destructions as protected_destructions,
)
from session_manager_fleet.changes.known_input import SHOWS_SETTINGS as SHOWS_SETTINGS
from session_manager_fleet.changes.outside import left_as_changed as left_as_changed
from session_manager_fleet.changes.placeholders import (
    MARKS as MARKS,
    SENSITIVE as SENSITIVE,
    SET_BY_AWS as SET_BY_AWS,
    UNKNOWN as UNKNOWN,
    Placeholders as Placeholders,
)
