"""A verification as CSV: one row for each check of each target."""

from collections.abc import Iterator, Sequence

from session_manager_fleet.reports.csv import csv_table
from session_manager_fleet.verify import Verification

# In the order of the file; docs/verify.md describes them. New columns are added at the end.
COLUMNS = (
    *("run_id", "account_id", "account_name", "ou", "region", "wave", "check", "verdict", "severity", "message"),
    *("fix", "command", "evidence", "history", "first_seen", "exceptions"),
)


def csv(verification: Verification) -> str:
    """Return a header and a row for each check; a target that could not be entered has one with `failed`."""
    return csv_table(COLUMNS, _rows(verification))


def _rows(verification: Verification) -> Iterator[Sequence[str]]:
    for target in verification.targets:
        place = (*(verification.run_id, target.account_id, target.account_name, target.ou, target.region, target.wave),)
        if target.failure:
            yield (*place, "", "failed", "", target.failure, *[""] * 6)
        for check in target.checks:
            yield (
                *place,
                check.name,
                check.verdict.value,
                check.severity.value if check.severity else "",
                check.message,
                check.fix or "",
                check.command or "",
                "; ".join(check.evidence),
                check.history or "",
                check.first_seen.isoformat() if check.first_seen else "",
                "; ".join(check.exceptions),
            )
