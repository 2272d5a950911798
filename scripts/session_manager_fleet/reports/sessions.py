"""Sessions as CSV."""

from session_manager_fleet.reports.csv import csv_table
from session_manager_fleet.verify import SessionReport

# In the order of the file; docs/sessions.md describes them. New columns are added at the end.
_COLUMNS = (
    *("session_id", "account_id", "account_name", "region", "node", "user", "source_address", "document", "kind"),
    *("reason", "started_at", "ended_at", "active", "in_cloudtrail", "state", "cause", "evidence", "fix", "logs"),
)


def sessions_csv(report: SessionReport) -> str:
    """Return a header and a row for each session; no cell is a formula."""
    rows = [session.model_dump(mode="json") for session in report.sessions]
    return csv_table(_COLUMNS, ([_text(row[column]) for column in _COLUMNS] for row in rows))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)
