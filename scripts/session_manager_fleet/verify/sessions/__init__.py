"""Sessions of Session Manager, and the log of each."""

from session_manager_fleet.verify.sessions.audit import SESSIONS as SESSIONS, SessionAudit as SessionAudit
from session_manager_fleet.verify.sessions.documents import of_content as of_content
from session_manager_fleet.verify.sessions.model import (
    Cause as Cause,
    Kind as Kind,
    LogState as LogState,
    Session as Session,
    SessionReport as SessionReport,
    TargetSessions as TargetSessions,
    report_schema as report_schema,
)
