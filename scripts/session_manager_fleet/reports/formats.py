"""Formats of reports by name."""

from collections.abc import Callable, Mapping
from typing import Protocol

from session_manager_fleet.reports.commands import Commands
from session_manager_fleet.reports.csv import csv
from session_manager_fleet.reports.html import html
from session_manager_fleet.reports.junit import junit
from session_manager_fleet.reports.markdown import markdown
from session_manager_fleet.reports.safe_text import json_for_logs
from session_manager_fleet.reports.terminal import table
from session_manager_fleet.run import Summary


class Report(Protocol):
    """A report in one format."""

    def __call__(self, summary: Summary, commands: Commands | None = None) -> str:
        """Return the report of a summary, which ends with a newline.

        Args:
            summary: The summary.
            commands: The lines to type; by default those of the installed program.
        """


def _for_programs(report: Callable[[Summary], str]) -> Report:
    """Return a report that programs read, which shows no commands."""
    return lambda summary, commands=None: report(summary)  # noqa: ARG005 - the signature of all reports


REPORTS: Mapping[str, Report] = {
    "table": table,
    "json": _for_programs(lambda summary: json_for_logs(summary.to_json())),
    "csv": _for_programs(csv),
    "markdown": markdown,
    "junit": _for_programs(junit),
    "html": html,
}

# Names of report files beside a run's summary.json.
FILES: Mapping[str, str] = {
    "markdown": "report.md",
    "junit": "report.junit.xml",
    "html": "report.html",
    "csv": "report.csv",
}
