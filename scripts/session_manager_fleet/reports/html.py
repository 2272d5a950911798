"""A self-contained HTML page for reading, archiving and printing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING

import jinja2

from session_manager_fleet.changes import ACTIONS
from session_manager_fleet.reports import text
from session_manager_fleet.run import Status

if TYPE_CHECKING:
    from session_manager_fleet.run import Summary

_SYMBOL_CLASSES = {"+": "new", "-": "old", "~": "changed", " ": "same"}


def html(summary: Summary) -> str:
    """Return the whole summary as a page.

    The page loads nothing from a server, and its Content-Security-Policy allows only its own script and style sheet, by
    digest, so that no name or error message can run as code. Without scripts, only sorting and filtering are missing.
    """
    style, script = _asset("report.css"), _asset("report.js")
    entries = {entry.key: entry for entry in summary.targets}
    template = _environment().get_template("report.html.j2")
    return template.render(
        summary=summary,
        names={
            group.fingerprint: text.names_by_region(entries[key] for key in group.targets)
            for group in summary.change_sets
        },
        statuses=[status for status in Status if getattr(summary.totals, status.value)],
        failures=[entry for entry in summary.targets if entry.failure is not None],
        previews=text.previews(summary.targets),
        style=style,
        script=script,
        style_digest=_digest(style),
        script_digest=_digest(script),
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("session_manager_fleet.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: Mapping[str, object] = {
        "visible": text.visible,
        "visible_lines": text.visible_lines,
        "diff_lines": lambda change: list(text.diff_lines(change)),
        "counted": text.counted,
        "words": text.status_words,
        "action_counts": text.action_counts,
        "change_counts": text.change_counts,
        "failure_heading": text.failure_heading,
        "preview_line": text.preview_line,
        "value": text.value_text,
    }
    environment.filters |= filters
    environment.globals |= {
        "actions": ACTIONS,
        "symbol_classes": _SYMBOL_CLASSES,
        "previews_heading": text.PREVIEWS_HEADING,
    }
    return environment


def _asset(name: str) -> str:
    return resources.files("session_manager_fleet.reports").joinpath("templates", name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    """Return the source expression for an inline element (Content Security Policy, level 3)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
