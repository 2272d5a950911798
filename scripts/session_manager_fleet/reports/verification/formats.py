"""Formats of a verification by name."""

import io
from collections.abc import Callable, Mapping

from rich.console import Console

from session_manager_fleet.reports.safe_text import json_for_logs
from session_manager_fleet.reports.terminal.console import WIDE
from session_manager_fleet.reports.terminal.verification import print_verification
from session_manager_fleet.reports.verification.asff import asff
from session_manager_fleet.reports.verification.csv import csv
from session_manager_fleet.reports.verification.html import verification_page
from session_manager_fleet.reports.verification.junit import junit
from session_manager_fleet.reports.verification.markdown import markdown
from session_manager_fleet.reports.verification.ocsf import ocsf
from session_manager_fleet.reports.verification.sarif import sarif
from session_manager_fleet.verify import Verification

VerificationReport = Callable[[Verification], str]


def table(verification: Verification) -> str:
    """Return the terminal output, without colours."""
    console = Console(file=io.StringIO(), width=WIDE, highlight=False, emoji=False)
    print_verification(console, verification)
    assert isinstance(console.file, io.StringIO)  # noqa: S101 - made above
    return console.file.getvalue()


VERIFICATION_REPORTS: Mapping[str, VerificationReport] = {
    "table": table,
    "json": lambda verification: json_for_logs(verification.to_json()),
    "csv": csv,
    "markdown": markdown,
    "junit": junit,
    "sarif": sarif,
    "ocsf": ocsf,
    "asff": asff,
    "html": verification_page,
}
