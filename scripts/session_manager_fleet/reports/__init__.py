"""Reports: one module for each format, all of them made from the summary of a run only."""

from session_manager_fleet.reports import terminal as terminal
from session_manager_fleet.reports.commands import PROGRAM as PROGRAM, RUN as RUN, Commands as Commands
from session_manager_fleet.reports.csv import csv_table as csv_table
from session_manager_fleet.reports.formats import FILES as FILES, REPORTS as REPORTS
from session_manager_fleet.reports.notifications import (
    message_of_run as message_of_run,
    message_of_verification as message_of_verification,
)
from session_manager_fleet.reports.safe_text import (
    json_for_logs as json_for_logs,
    log_text as log_text,
    visible as visible,
    visible_lines as visible_lines,
    writes_log as writes_log,
)
from session_manager_fleet.reports.sessions import sessions_csv as sessions_csv
from session_manager_fleet.reports.terminal import (
    TargetsProgress as TargetsProgress,
    print_sessions as print_sessions,
    print_verification as print_verification,
)
from session_manager_fleet.reports.text import counted as counted, listed as listed
from session_manager_fleet.reports.verification.formats import VERIFICATION_REPORTS as VERIFICATION_REPORTS
from session_manager_fleet.reports.verification.groups import filtered as filtered
from session_manager_fleet.reports.verification.html import verification_page as verification_page
