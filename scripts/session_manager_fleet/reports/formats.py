"""Formats of reports by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from session_manager_fleet.reports.html import HtmlReport
from session_manager_fleet.reports.json import JsonReport
from session_manager_fleet.reports.junit import JunitReport
from session_manager_fleet.reports.markdown import MarkdownReport
from session_manager_fleet.reports.terminal import TableReport
from session_manager_fleet.run import Summary


class Report(Protocol):
    """Renders the summary of a run."""

    def render(self, summary: Summary) -> str:
        """Return the report; it ends with a newline."""


REPORTS: Mapping[str, Report] = {
    "table": TableReport(),
    "json": JsonReport(),
    "markdown": MarkdownReport(),
    "junit": JunitReport(),
    "html": HtmlReport(),
}

# Names of report files beside a run's summary.json.
FILES: Mapping[str, str] = {"markdown": "report.md", "junit": "report.junit.xml", "html": "report.html"}
