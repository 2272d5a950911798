"""Targets that are as in their last clean run, which terraform need not plan again."""

from session_manager_fleet.run.clean.comparison import (
    Comparison as Comparison,
    UnlikeError as UnlikeError,
    why_no_candidate as why_no_candidate,
)
