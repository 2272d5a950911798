"""The Lambda package: a zip whose bytes follow from the sources alone, so that it can be committed and checked.

Entries are stored, not compressed (the bytes of a compressed entry depend on the zlib at hand), sorted by name, with
one fixed time and one fixed mode. They hold the code without what only readers and type checkers use, which keeps the
package small.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
import zipfile
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "lambda_src" / "session_preferences"
PACKAGE = REPOSITORY / "modules" / "preferences" / "lambda.zip"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
_UNIX = 3
_WORDS = re.compile(r"""[\w"']{2}""")  # what must not come together: the end of one word and the beginning of another
_MODE = 0o100644 << 16  # a regular file that its owner may write and everybody may read


def bare(source: str) -> str:
    """The code without comments, docstrings, annotations of and in functions, and blanks that mean nothing.

    Every line stays, for tracebacks. Fields of dataclasses keep their annotations, which mean something at run time.
    """
    # The parser counts columns in bytes.
    lines = [line.encode() for line in source.splitlines()]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = source.splitlines()[row - 1][:column].rstrip().encode()
    cuts = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            cuts |= set(_annotations(node, lines))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            docstring, *rest = node.body
            first, last = docstring.lineno - 1, docstring.end_lineno or docstring.lineno
            lines[first:last] = [b""] * (last - first)
            if not rest:
                lines[first] = b" " * docstring.col_offset + b"pass"
    for row, start, end in sorted(cuts, reverse=True):
        lines[row] = lines[row][:start] + lines[row][end:]
    return "".join(_tight(b"\n".join(lines).decode() + "\n"))


def _tight(source: str) -> Iterator[str]:
    """The same tokens in the same lines, each level indented by one space, other spaces only between two words."""
    starts = [0, *accumulate(map(len, io.StringIO(source)))]
    level, done, begins, within = 0, 0, True, 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in {tokenize.INDENT, tokenize.DEDENT}:
            level += 1 if token.type == tokenize.INDENT else -1
            continue
        first, last = (starts[row - 1] + column for row, column in (token.start, token.end))
        gap, text = source[done:first], source[first:last]
        if begins and token.type != tokenize.NL:
            gap = " " * level
        elif gap.isspace() and not within and not _WORDS.fullmatch(source[done - 1] + text[:1]):
            gap = ""
        elif gap.isspace() and not within:
            gap = " "
        # Since Python 3.12 an f-string is several tokens, between which every blank counts.
        within += {"FSTRING_START": 1, "FSTRING_END": -1}.get(tokenize.tok_name[token.type], 0)
        begins = token.type == tokenize.NEWLINE or (begins and token.type == tokenize.NL)
        done = last
        yield gap + text


def _annotations(function: ast.FunctionDef, lines: list[bytes]) -> Iterator[tuple[int, int, int]]:
    """Where annotations stand, with the sign before them: row, first column, end; those over several lines stay."""
    for node in ast.walk(function):
        if isinstance(node, ast.AnnAssign) and node.value and node.annotation.end_lineno == node.lineno:
            yield node.lineno - 1, node.target.end_col_offset or 0, node.annotation.end_col_offset or 0
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, [given.vararg, given.kwarg])]
    for argument in arguments:
        if argument.annotation and argument.annotation.end_lineno == argument.lineno:
            start = argument.col_offset + len(argument.arg.encode())
            yield argument.lineno - 1, start, argument.annotation.end_col_offset or start
    if function.returns and function.returns.end_lineno == function.returns.lineno:
        row = function.returns.lineno - 1
        start = lines[row].rindex(b")", 0, function.returns.col_offset) + 1
        yield row, start, function.returns.end_col_offset or start


def build(source: Path = SOURCE) -> bytes:
    """The package of one Python package folder: its .py files, under the folder's own name.

    Raises:
        FileNotFoundError: the folder holds no Python file.
    """
    files = sorted(source.rglob("*.py"))
    if not files:
        raise FileNotFoundError(f"{source} holds no Python file to package.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as package:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(source.parent).as_posix(), _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _MODE
            package.writestr(entry, bare(file.read_text(encoding="utf-8")))
    return buffer.getvalue()


def is_current(source: Path = SOURCE, package: Path = PACKAGE) -> bool:
    """Whether the package on disk is exactly what the sources give."""
    return package.is_file() and package.read_bytes() == build(source)


def write(source: Path = SOURCE, package: Path = PACKAGE) -> None:
    """Bring the package on disk up to date, in one step."""
    draft = package.with_suffix(".zip.new")
    draft.write_bytes(build(source))
    draft.replace(package)


def main() -> int:
    """Return 0 when the package is current at the end, 1 when --check finds it stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the package is stale")
    package = PACKAGE.relative_to(REPOSITORY)
    if not parser.parse_args().check:
        write()
    elif not is_current():
        sys.stderr.write(f"{package} does not match lambda_src: run python scripts/package_lambda.py and commit it.\n")
        return 1
    return 0
