#!/usr/bin/env python3
"""The inputs and outputs of each Terraform module as tables in its README: taken from the code, so that they agree."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import hcl2
from lark.exceptions import LarkError

from session_manager_fleet.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = REPOSITORY / "modules"
BEGIN = "<!-- BEGIN_TF_DOCS -->"
END = "<!-- END_TF_DOCS -->"


@dataclass(frozen=True)
class Input:
    """One variable; its type and default in Terraform's words, the default None when a value is required."""

    name: str
    description: str
    type: str
    default: str | None


@dataclass(frozen=True)
class Output:
    """One output."""

    name: str
    description: str


@dataclass(frozen=True)
class Interface:
    """The variables and outputs of a module, in alphabetical order."""

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]


def read_interface(folder: Path) -> Interface:
    """Read the variables and outputs of a module.

    Raises:
        InputError: a file is missing or no HCL, or a variable or output lacks its type or description.
    """
    inputs = [
        Input(name, _text(block, "description"), _expression(block["type"]), _default(block))
        for name, block in _blocks(folder / "variables.tf", "variable", "description", "type")
    ]
    outputs = [
        Output(name, _text(block, "description"))
        for name, block in _blocks(folder / "outputs.tf", "output", "description")
    ]
    return Interface(
        tuple(sorted(inputs, key=lambda item: item.name)), tuple(sorted(outputs, key=lambda item: item.name))
    )


def _blocks(path: Path, kind: str, *required: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    try:
        content = hcl2.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("A module needs this file.", str(path)) from error
    except LarkError as error:
        raise InputError(f"This is no HCL: {error}", str(path)) from error
    for entry in content.get(kind, []):
        ((label, block),) = entry.items()
        name = json.loads(label)
        if missing := [key for key in required if key not in block]:
            raise InputError(f"{kind} {name} lacks its {' and '.join(missing)}.", str(path))
        yield name, block


def _text(block: Mapping[str, object], key: str) -> str:
    return str(json.loads(str(block[key])))


def _default(block: Mapping[str, object]) -> str | None:
    return _expression(block["default"]) if "default" in block else None


def _expression(value: object) -> str:
    """A parsed value in Terraform's words again, in one line."""
    if isinstance(value, str):
        return value.removeprefix("${").removesuffix("}") if value.startswith("${") else value
    if isinstance(value, Mapping):
        attributes = ", ".join(f"{key} = {_expression(item)}" for key, item in value.items())
        return f"{{ {attributes} }}" if attributes else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_expression, value))}]"
    return json.dumps(value)


def render(interface: Interface) -> str:
    """The tables, in Markdown."""
    inputs = [
        (
            f"`{item.name}`",
            item.description,
            f"`{item.type}`",
            "required" if item.default is None else f"`{item.default}`",
        )
        for item in interface.inputs
    ]
    outputs = [(f"`{item.name}`", item.description) for item in interface.outputs]
    return "\n".join(
        [
            "## Inputs\n",
            *_table(("Name", "Description", "Type", "Default"), inputs),
            "\n## Outputs\n",
            *_table(("Name", "Description"), outputs),
        ]
    )


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (header, ("---",) * len(header), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def current(readme: Path) -> str:
    """The README of a module with the tables as they should be.

    Raises:
        InputError: the README or its markers are missing, or the module cannot be read.
    """
    try:
        text = readme.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError("A module needs a README.", str(readme)) from error
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"The README lacks the markers {BEGIN} and {END}.", str(readme))
    return f"{before}{BEGIN}\n{render(read_interface(readme.parent))}\n{END}{after}"


def stale(modules: Path = MODULES) -> dict[Path, str]:
    """The READMEs whose tables do not say what the code says, with the text that they should have.

    Raises:
        InputError: see `current`.
    """
    readmes = [folder / "README.md" for folder in sorted(modules.iterdir()) if folder.is_dir()]
    texts = {readme: current(readme) for readme in readmes}
    return {readme: text for readme, text in texts.items() if readme.read_text(encoding="utf-8") != text}


def main() -> int:
    """Return 0 when all READMEs are current at the end, 1 when --check finds a stale one, 64 when one is impossible."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a README is stale")
    check = parser.parse_args().check
    try:
        outdated = stale()
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    for readme, text in outdated.items():
        if check:
            name = readme.relative_to(REPOSITORY)
            sys.stderr.write(f"{name} does not match its module: run python tools/terraform_docs.py and commit it.\n")
        else:
            readme.write_text(text, encoding="utf-8")
    return 1 if check and outdated else 0


if __name__ == "__main__":
    raise SystemExit(main())
