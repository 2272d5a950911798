#!/usr/bin/env python3
"""Draw the packages of the library from docs/architecture.yaml and the imports of the code."""

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
LIBRARY = REPOSITORY / "scripts" / "session_manager_fleet"
DOCS = REPOSITORY / "docs"
BEGIN, END = "<!-- BEGIN_PACKAGES -->\n", "<!-- END_PACKAGES -->\n"
GROUND = "ground"

Package = Mapping[str, str]
_ROW, _TOP, _CELL, _MATRIX = 46, 96, 26, 990
_BOX = (300, 390)  # left edge and width of a package's box
_ARROW_HEAD = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#6b7280"/></marker>'
)
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2937 }
.name { font-weight: 600 } .small { font-size: 12px; fill: #4b5563 } .title { font-size: 15px; font-weight: 600 }
.box { fill: #eff6ff; stroke: #2563eb } .cell { fill: #f3f4f6 } .dot { fill: #2563eb }
.arrow { stroke: #6b7280; stroke-width: 1.3; marker-end: url(#tip) }
"""


def imported_packages(library: Path, package: str) -> set[str]:
    """Return the packages that a package imports; the single modules at the top of the library are "ground"."""
    files = library.glob("[!_]*.py") if package == GROUND else (library / package).rglob("*.py")
    names = {name.split(".")[1] for file in files for name in _imports(file) if name.startswith(f"{library.name}.")}
    return {name if (library / name).is_dir() else GROUND for name in names} - {package}


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def draw(packages: Sequence[Package], imports: Mapping[str, set[str]]) -> str:
    """Return an SVG: a row per package with what it reads and writes, and a matrix of what it imports."""
    names = [package["package"] for package in packages]
    left, width = _BOX
    size = (_MATRIX + _CELL * len(names) + 20, _TOP + _ROW * len(names) + 24)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" role="img">',
        "<title>Packages of session_manager_fleet: what each reads, does, writes and imports</title>",
        f"<style>{_STYLE}</style>",
        _ARROW_HEAD,
        f'<rect width="{size[0]}" height="{size[1]}" fill="#ffffff"/>',
        f'<text class="title" x="{left - 34}" y="30" text-anchor="end">reads</text>',
        f'<text class="title" x="{left}" y="30">package (imports only from those above it)</text>',
        f'<text class="title" x="{left + width + 34}" y="30">writes</text>',
        f'<text class="title" x="{_MATRIX}" y="30">imports</text>',
    ]
    for column, name in enumerate(names[:-1]):
        x, y = _MATRIX + _CELL * column + 13, _TOP - 8
        parts.append(f'<text class="small" transform="translate({x} {y}) rotate(-45)">{escape(name)}</text>')
    for row, package in enumerate(packages):
        parts += _row(_TOP + _ROW * row, package, names, imports[package["package"]])
    return "\n".join([*parts, "</svg>", ""])


def _row(y: int, package: Package, names: Sequence[str], imported: set[str]) -> Iterator[str]:
    (left, width), middle = _BOX, y + 18
    right = left + width
    yield f'<rect class="box" x="{left}" y="{y}" width="{width}" height="36" rx="5"/>'
    yield f'<text class="name" x="{left + 10}" y="{y + 15}">{escape(package["package"])}</text>'
    yield f'<text class="small" x="{left + 10}" y="{y + 30}">{escape(package["job"])}</text>'
    if reads := package.get("reads"):
        yield f'<text class="small" x="{left - 34}" y="{middle + 4}" text-anchor="end">{escape(reads)}</text>'
        yield f'<line class="arrow" x1="{left - 28}" y1="{middle}" x2="{left - 2}" y2="{middle}"/>'
    if writes := package.get("writes"):
        yield f'<line class="arrow" x1="{right + 2}" y1="{middle}" x2="{right + 28}" y2="{middle}"/>'
        yield f'<text class="small" x="{right + 34}" y="{middle + 4}">{escape(writes)}</text>'
    for column, name in enumerate(names[: names.index(package["package"])]):
        x = _MATRIX + _CELL * column + 3
        yield f'<rect class="cell" x="{x}" y="{middle - 10}" width="20" height="20" rx="3"/>'
        if name in imported:
            yield f'<circle class="dot" cx="{x + 10}" cy="{middle}" r="5"/>'


def table(packages: Sequence[Package], imports: Mapping[str, set[str]]) -> str:
    """Return the packages as a Markdown table."""
    names = [package["package"] for package in packages]
    rows = ["| package | job | imports |", "| --- | --- | --- |"]
    for package in packages:
        imported = ", ".join(sorted(imports[package["package"]], key=names.index)) or "nothing of the library"
        rows.append(f"| `{package['package']}` | {package['job']} | {imported} |")
    return "\n".join([*rows, ""])


def current() -> dict[Path, str]:
    """Return the contents that the generated files should have."""
    page, packages = DOCS / "architecture.md", yaml.safe_load((DOCS / "architecture.yaml").read_text(encoding="utf-8"))
    imports = {package["package"]: imported_packages(LIBRARY, package["package"]) for package in packages}
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    return {
        DOCS / "architecture.svg": draw(packages, imports),
        page: f"{before}{BEGIN}{table(packages, imports)}{END}{after}",
    }


def main() -> int:
    """Write the files, or with --check return 1 if one is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is stale")
    check = parser.parse_args().check
    stale = [path for path, text in current().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(REPOSITORY)} is {'stale: run `make docs`' if check else 'written'}.")  # noqa: T201
        if not check:
            path.write_text(current()[path], encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
