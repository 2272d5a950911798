"""Templates of the HTML pages, and the digests that let only their own style sheet and script work."""

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources

import jinja2

from session_manager_fleet.reports.safe_text import visible, visible_lines


def asset(name: str) -> str:
    """Return the text of a style sheet or script."""
    return resources.files("session_manager_fleet.reports").joinpath("templates", name).read_text(encoding="utf-8")


def digest(content: str) -> str:
    """Return the source expression for an inline element (Content Security Policy, level 3)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def environment(filters: Mapping[str, object]) -> jinja2.Environment:
    """Return the environment of a template, which escapes all texts; `filters` are its own."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("session_manager_fleet.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"visible": visible, "visible_lines": visible_lines, **filters}
    return made
