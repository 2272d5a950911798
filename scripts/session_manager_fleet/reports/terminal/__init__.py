"""Terminal output: consoles, progress, and tables of results."""

from session_manager_fleet.reports.terminal.console import discard_output, make_console
from session_manager_fleet.reports.terminal.progress import TerminalProgress
from session_manager_fleet.reports.terminal.tables import (
    print_change_sets,
    print_notes,
    print_results,
    print_skipped,
    print_summary,
    print_targets,
    status_text,
    table,
)
from session_manager_fleet.reports.terminal.verification import VerificationProgress, print_verification

__all__ = [
    "TerminalProgress",
    "VerificationProgress",
    "discard_output",
    "make_console",
    "print_change_sets",
    "print_notes",
    "print_results",
    "print_skipped",
    "print_summary",
    "print_targets",
    "print_verification",
    "status_text",
    "table",
]
