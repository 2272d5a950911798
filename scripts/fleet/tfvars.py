"""Render the variables of a target as tfvars, in terraform's own format and safe for every value."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from fleet.organization import MANAGEMENT

if TYPE_CHECKING:
    from fleet.settings import DeploymentRole, EffectiveSettings
    from fleet.targets import Target

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_TEMPLATE_START = re.compile(r"([$%]+)\{")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text: str, *, ascii_only: bool = False) -> str:
    """Return an HCL string literal: no interpolation, no directive and no control character survives as such."""
    quoted = "".join(_escape(letter, ascii_only=ascii_only) for letter in text)
    return '"' + _TEMPLATE_START.sub(_escape_template_start, quoted) + '"'


def _escape_template_start(match: re.Match[str]) -> str:
    """Double the sign before a brace; where more signs precede it, spell all out: HCL would pair them up."""
    signs = match[1]
    return f"{signs}{signs}{{" if len(signs) == 1 else "".join(f"\\u{ord(sign):04x}" for sign in signs) + "{"


def _escape(letter: str, *, ascii_only: bool) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable() and (letter.isascii() or not ascii_only):
        return letter
    return f"\\U{ord(letter):08x}"


def hcl(value: Any, indent: int = 0) -> str:  # noqa: ANN401 - whatever a settings model holds
    """Write a value the way `terraform fmt` does.

    Raises:
        TypeError: The value has no HCL form.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Mapping):
        return _object(value, indent)
    if isinstance(value, Sequence):
        return "[" + ", ".join(hcl(item, indent) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} has no HCL form")


def _object(value: Mapping[str, Any], indent: int) -> str:
    if not value:
        return "{}"
    margin = " " * (indent + 2)
    entries = [
        (key if _IDENTIFIER.fullmatch(key) else quote(key, ascii_only=True), hcl(item, indent + 2))
        for key, item in value.items()
    ]
    lines: list[str] = []
    # terraform fmt aligns the equals signs of neighbouring entries that stand on one line each.
    group: list[tuple[str, str]] = []
    for key, text in [*entries, ("", "\n")]:
        if "\n" not in text:
            group.append((key, text))
            continue
        width = max((len(name) for name, _ in group), default=0)
        lines.extend(f"{margin}{name:<{width}} = {line}" for name, line in group)
        group = []
        if key:
            lines.append(f"{margin}{key} = {text}")
    return "\n".join(["{", *lines, " " * indent + "}"])


def _without_null(value: Any) -> Any:  # noqa: ANN401 - whatever a settings model holds
    """Leave out what is null: it is the default of the variable already."""
    if isinstance(value, Mapping):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return value


def variables_of(target: Target, settings: EffectiveSettings, role: DeploymentRole) -> dict[str, Any]:
    """Return the root module's variables for a target, in a fixed order."""
    values = settings.values.model_dump()
    for component in settings.skipped:
        values[component]["enabled"] = False
    uses_role = target.account.role != MANAGEMENT or role.in_management_account
    return {
        "account_id": target.account.id,
        "region": target.region,
        "home_region": target.home_region,
        "deployment_role": _without_null(role.model_dump(exclude={"in_management_account"})) if uses_role else None,
        "names": values["names"],
        "instance_policy": values["instance_policy"],
        "config_rule": values["config_rule"],
        "preferences": _without_null(values["preferences"]),
        "tags": dict(sorted(values["tags"].items())),
    }


class TfvarsRenderer:
    """Renders targets with a Jinja2 template.

    Args:
        source: Name of the settings file, as the header of the rendered file tells it.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("fleet", "templates"),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 - HCL is not HTML; the filter `hcl` quotes every value
        )
        environment.filters["hcl"] = hcl
        # JSON's ASCII form keeps a hostile account name within its comment line.
        environment.filters["comment"] = json.dumps
        self._template = environment.get_template("terraform.tfvars.j2")

    def render(self, target: Target, settings: EffectiveSettings, role: DeploymentRole) -> str:
        """Return the text of a target's tfvars; equal input gives equal bytes."""
        return self._template.render(source=self._source, target=target, variables=variables_of(target, settings, role))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
