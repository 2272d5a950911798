"""Every advice of `verify` and `doctor` is followed by a test after a real break, or has a reason why it cannot be."""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from session_manager_fleet.verify import CHECKS
from tests.e2e.cures import FOLLOWED, NOT_FOLLOWED, UNBROKEN

PACKAGE = Path(__file__).resolve().parents[3] / "scripts" / "session_manager_fleet"
# What takes an advice, and as which argument; and what returns one.
TAKES = {"finding": 2, "Check": 3, "Problem": 1, "append": 0}
RETURNS = {"_fix", "_encrypt", "enable_command", "rescue"}
CONSTANTS = {"PLAN_AND_APPLY", "APPLY_ARCHIVE"}


def texts(value: ast.expr) -> Iterator[str]:
    """The texts that an expression can have, with {} for what differs; none for a name, whose text is found apart."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)  # type: ignore[misc]
        case ast.IfExp(body=body, orelse=orelse):
            yield from texts(body)
            yield from texts(orelse)
        case ast.BinOp(left=left, right=right):
            yield from map("".join, product(texts(left), texts(right)))


def advice(tree: ast.Module) -> Iterator[str]:
    """All advice in a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == "fix" or name in CONSTANTS:
                yield from texts(value)
            case ast.Call(func=ast.Name(id=name), args=arguments) if len(arguments) > TAKES.get(name, 99):
                yield from texts(arguments[TAKES[name]])
            case ast.Call(func=ast.Attribute(value=ast.Name(id="fixes"), attr="append"), args=[argument]):
                yield from texts(argument)
            case ast.FunctionDef(name=name) if name in RETURNS:
                for each in ast.walk(node):
                    if isinstance(each, ast.Return) and each.value:
                        yield from texts(each.value)


def all_advice() -> set[str]:
    files = [PACKAGE / "aws.py", *(PACKAGE / "verify").glob("*.py")]
    return {each for file in files for each in advice(ast.parse(file.read_text(encoding="utf-8")))}


def test_every_advice_is_followed_or_has_a_reason() -> None:
    known = {*FOLLOWED, *NOT_FOLLOWED}

    assert sorted(all_advice() - known) == [], "neither followed nor with a reason"
    assert sorted(known - all_advice()) == [], "nothing says this any more"
    assert set(FOLLOWED) & set(NOT_FOLLOWED) == set()
    assert all(NOT_FOLLOWED.values())


def test_every_check_has_a_finding_that_is_cured_or_a_reason() -> None:
    checks = {check.info.id for check in CHECKS}
    cured = {check for of_one in FOLLOWED.values() for check in of_one}

    assert cured | set(UNBROKEN) == checks
    assert cured & set(UNBROKEN) == set()
