"""A Terraform plan as a normalized change set with a fingerprint."""

from session_manager_fleet.changes.change_set import (
    ACTIONS,
    AttributeChange,
    ChangeSet,
    PlanOutcome,
    ResourceChange,
    change_set_of,
    protected_destructions,
)
from session_manager_fleet.changes.placeholders import MARKS, SENSITIVE, SET_BY_AWS, UNKNOWN, Placeholders

__all__ = [
    "ACTIONS",
    "MARKS",
    "SENSITIVE",
    "SET_BY_AWS",
    "UNKNOWN",
    "AttributeChange",
    "ChangeSet",
    "Placeholders",
    "PlanOutcome",
    "ResourceChange",
    "change_set_of",
    "protected_destructions",
]
