"""Terminal output: consoles, progress, and tables of results."""

from session_manager_fleet.reports.terminal.console import (
    discard_output as discard_output,
    make_console as make_console,
)
from session_manager_fleet.reports.terminal.progress import TerminalProgress as TerminalProgress
from session_manager_fleet.reports.terminal.sessions import print_sessions as print_sessions
from session_manager_fleet.reports.terminal.tables import (
    add_row as add_row,
    print_change_sets as print_change_sets,
    print_notes as print_notes,
    print_recap as print_recap,
    print_results as print_results,
    print_skipped as print_skipped,
    print_summary as print_summary,
    print_targets as print_targets,
    status_text as status_text,
    table as table,
    table_of as table_of,
)
from session_manager_fleet.reports.terminal.targets_progress import TargetsProgress as TargetsProgress
from session_manager_fleet.reports.terminal.verification import print_verification as print_verification
