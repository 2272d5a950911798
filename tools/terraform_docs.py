#!/usr/bin/env python3
"""Write the requirements, resources, inputs and outputs of each Terraform module as tables into its README."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2
from lark.exceptions import LarkError

from session_manager_fleet.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = REPOSITORY / "modules"
BEGIN = "<!-- BEGIN_TF_DOCS -->"
END = "<!-- END_TF_DOCS -->"


@dataclass(frozen=True)
class Input:
    """One variable; type and default as in HCL, the default None where a value is required."""

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
    """Requirements, resources, inputs and outputs of a module, each in alphabetical order."""

    requirements: Mapping[str, str]
    resources: tuple[str, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]


def read_interface(folder: Path) -> Interface:
    """Read the files of a module.

    Raises:
        InputError: A file is missing or no HCL, or a variable or output lacks its type or description.
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
        _requirements(_content(folder / "versions.tf")),
        tuple(sorted(address for path in folder.glob("*.tf") for address in _resources(_content(path)))),
        tuple(sorted(inputs, key=lambda item: item.name)),
        tuple(sorted(outputs, key=lambda item: item.name)),
    )


def _requirements(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the version constraints of terraform and of the providers."""
    found: dict[str, str] = {}
    for block in content["terraform"]:
        found["terraform"] = json.loads(block["required_version"])
        for providers in block["required_providers"]:
            for name, provider in providers.items():
                if isinstance(provider, Mapping):
                    found[name] = json.loads(provider["version"])
    return found


def _resources(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the addresses of the managed resources; data sources change nothing."""
    for entry in content.get("resource", []):
        for kind, names in entry.items():
            for name in names:
                if not name.startswith("__"):
                    yield f"{kind}.{name}".replace('"', "")


def _content(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = hcl2.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("A module needs this file.", str(path)) from error
    except LarkError as error:
        raise InputError(f"This is not HCL: {error}", str(path)) from error
    return content


def _blocks(path: Path, kind: str, *required: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for entry in _content(path).get(kind, []):
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
    """Return a parsed value as HCL again, in one line."""
    if isinstance(value, str):
        return value.removeprefix("${").removesuffix("}") if value.startswith("${") else value
    if isinstance(value, Mapping):
        attributes = ", ".join(f"{key} = {_expression(item)}" for key, item in value.items())
        return f"{{ {attributes} }}" if attributes else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_expression, value))}]"
    return json.dumps(value)


def render(interface: Interface) -> str:
    """Return the sections as Markdown."""
    inputs = [
        (
            f"`{item.name}`",
            item.description,
            _code(_lines(item.type)),
            "required" if item.default is None else f"`{item.default}`",
        )
        for item in interface.inputs
    ]
    outputs = [(f"`{item.name}`", item.description) for item in interface.outputs]
    return "\n".join(
        [
            "## Requirements\n",
            *_table(
                ("Name", "Version"), [(f"`{name}`", f"`{version}`") for name, version in interface.requirements.items()]
            ),
            "\n## Providers\n",
            *(
                f"- `{name}`: the caller's, not configured here"
                for name in interface.requirements
                if name != "terraform"
            ),
            "\n## Resources\n",
            *(f"- `{address}`" for address in interface.resources),
            "\n## Inputs\n",
            *_table(("Name", "Description", "Type", "Default"), inputs),
            "\n## Outputs\n",
            *_table(("Name", "Description"), outputs),
        ]
    )


def _lines(text: str, indent: int = 0) -> list[str]:
    """Return a type as lines: an object with several attributes has one for each."""
    opening, brace, rest = text.partition("object({")
    if not brace:
        return [text]
    parts, depth = [""], 0
    for letter in rest:
        if letter == "}" and depth == 0:
            break
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    if len(parts) == 1:
        return [text]
    inner = [_lines(part.strip(), indent + 2) for part in parts]
    attributes = [f"{' ' * (indent + 2)}{first}" for first, *_ in inner]
    whole = [line for attribute, (_, *more) in zip(attributes, inner, strict=True) for line in (attribute, *more)]
    return [f"{opening}object({{", *whole, f"{' ' * indent}{rest[len(','.join(parts)) :]}"]


def _code(lines: list[str]) -> str:
    return f"`{lines[0]}`" if len(lines) == 1 else f"<pre>{'<br>'.join(lines)}</pre>"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (header, ("---",) * len(header), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def current(readme: Path) -> str:
    """Return the README of a module with its sections renewed.

    Raises:
        InputError: The README or its markers are missing, or the module cannot be read.
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
    """Return the READMEs that differ from the code, with the text that they should have.

    Raises:
        InputError: See `current`.
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
