"""Formats of reports by name."""

from collections.abc import Callable, Mapping

from session_manager_fleet.reports.csv import csv
from session_manager_fleet.reports.html import html
from session_manager_fleet.reports.junit import junit
from session_manager_fleet.reports.markdown import markdown
from session_manager_fleet.reports.safe_text import json_for_logs
from session_manager_fleet.reports.terminal import table
from session_manager_fleet.run import Summary

# Each returns the report of a summary; it ends with a newline.
REPORTS: Mapping[str, Callable[[Summary], str]] = {
    "table": table,
    "json": lambda summary: json_for_logs(summary.to_json()),
    "csv": csv,
    "markdown": markdown,
    "junit": junit,
    "html": html,
}

# Names of report files beside a run's summary.json.
FILES: Mapping[str, str] = {
    "markdown": "report.md",
    "junit": "report.junit.xml",
    "html": "report.html",
    "csv": "report.csv",
}
