"""CSV for spreadsheets and databases: one row for each target."""

import csv as standard
import io
from collections.abc import Iterable, Sequence

from session_manager_fleet.reports.safe_text import cell, cell_of_lines
from session_manager_fleet.run import Summary, TargetResult

# In the order of the file; docs/reports.md describes them. New columns are added at the end.
COLUMNS = (
    *("run_id", "command", "account_id", "account_name", "ou", "account_role", "region", "home_region", "wave"),
    *("workspace", "status", "step", "add", "change", "destroy", "change_set", "destructive", "verified", "attempts"),
    *("seconds", "failure_kind", "failure_message", "diagnostics", "reason", "log"),
)

# Columns that may have several lines.
_LINES = frozenset({"failure_message", "diagnostics"})


def csv_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a header and rows as CSV; every cell is on one line, and none is a formula."""
    content = io.StringIO()
    writer = standard.writer(content, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([value if isinstance(value, int | float) else cell(str(value)) for value in row] for row in rows)
    return content.getvalue()


def csv(summary: Summary) -> str:
    """Return a header, a row for each target and one for each missing shard; no cell is a formula."""
    content = io.StringIO()
    writer = standard.writer(content, lineterminator="\n")
    writer.writerow(COLUMNS)
    destructive = {group.fingerprint: group.change_set.destructive for group in summary.change_sets}
    for entry in summary.targets:
        row = _row(summary, entry, destructive)
        writer.writerow([_cell(row[column], lines=column in _LINES) for column in COLUMNS])
    for shard in summary.missing_shards:
        missing = {"run_id": summary.run_id, "command": summary.command, "status": "failed"}
        missing["reason"] = f"Shard {shard} is missing from this merged run."
        writer.writerow([_cell(missing.get(column)) for column in COLUMNS])
    return content.getvalue()


def _row(summary: Summary, entry: TargetResult, destructive: dict[str, bool]) -> dict[str, object]:
    found, failure = entry.changes, entry.failure
    return {
        "run_id": summary.run_id,
        "command": summary.command,
        "account_id": entry.account_id,
        "account_name": entry.account_name,
        "ou": entry.ou,
        "account_role": entry.account_role,
        "region": entry.region,
        "home_region": entry.home_region,
        "wave": entry.wave,
        "workspace": entry.workspace,
        "status": entry.status.value,
        "step": entry.step.value,
        "add": found.add if found else None,
        "change": found.change if found else None,
        "destroy": found.destroy if found else None,
        "change_set": entry.fingerprint,
        "destructive": destructive.get(entry.fingerprint or ""),
        "verified": entry.verified,
        "attempts": entry.attempts,
        "seconds": entry.seconds,
        "failure_kind": failure.kind if failure else None,
        "failure_message": failure.message if failure else None,
        "diagnostics": "\n".join(failure.diagnostics) if failure else None,
        "reason": entry.reason,
        "log": entry.log,
    }


def _cell(value: object, *, lines: bool = False) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    return cell_of_lines(str(value)) if lines else cell(str(value))
