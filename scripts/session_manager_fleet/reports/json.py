"""The summary as JSON, for programs."""

from __future__ import annotations

from session_manager_fleet.run import Summary


class JsonReport:
    """`summary.json`, whose JSON Schema is session_manager_fleet.run.summary.schema()."""

    def render(self, summary: Summary) -> str:
        """Return the summary as JSON, in ASCII."""
        return summary.to_json()
