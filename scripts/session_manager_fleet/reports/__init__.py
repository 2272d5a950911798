"""Reports: one module for each format, all of them made from the summary of a run only."""

from session_manager_fleet.reports import terminal
from session_manager_fleet.reports.formats import FILES, REPORTS
from session_manager_fleet.reports.terminal import VerificationProgress, print_verification
from session_manager_fleet.reports.text import visible, visible_lines

__all__ = [
    "FILES",
    "REPORTS",
    "VerificationProgress",
    "print_verification",
    "terminal",
    "visible",
    "visible_lines",
]
