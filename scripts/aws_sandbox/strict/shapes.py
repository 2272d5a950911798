"""The constraints of AWS's API models: lengths, ranges, patterns and allowed values of every parameter.

boto3 and the AWS provider send what breaks most of them, moto accepts it, and the service refuses it. S3 and EC2
validate by rules of their own, which their models do not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from aws_sandbox.call import AwsError, Call

_OWN_RULES = {"ec2", "s3"}

# The error code of services that do not use ValidationException.
_CODES = {
    "cloudwatch": "ValidationError",
    "iam": "ValidationError",
    "logs": "InvalidParameterException",
    "organizations": "InvalidInputException",
    "sns": "InvalidParameter",
    "sts": "ValidationError",
}

# Java's classes for letters, numbers and spaces; Python's \w has the former two.
_CLASSES = ((r"\p{L}", r"\w"), (r"\p{N}", ""), (r"\p{Z}", r" \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"))


def check(call: Call) -> None:
    """Reject a call with a parameter that breaks a constraint of the service's model.

    Raises:
        AwsError: The service's validation error; it names each constraint and parameter.
    """
    if call.service in _OWN_RULES or call.shape is None:
        return
    problems = list(_problems(call.shape, call.parameters, ""))
    if problems:
        errors = "1 validation error" if len(problems) == 1 else f"{len(problems)} validation errors"
        raise AwsError(_CODES.get(call.service, "ValidationException"), f"{errors} detected: {'; '.join(problems)}")


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - a value of any shape
    """Yield the broken constraints of a parameter and of those within it."""
    if value is None:
        return
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            if isinstance(value, dict) and name in value:
                yield from _problems(member, value[name], f"{path}.{_lower(name)}" if path else _lower(name))
        return
    broken = next(_broken(shape, value), None)
    if broken:
        shown = "" if shape.metadata.get("sensitive") else f"'{value}' "
        yield f"Value {shown}at '{path}' failed to satisfy constraint: Member must {broken}"
    elif isinstance(shape, ListShape):
        for number, each in enumerate(value, 1):
            yield from _problems(shape.member, each, f"{path}.{number}.member")
    elif isinstance(shape, MapShape):
        for key, each in value.items():
            yield from _problems(shape.key, key, f"{path}.key")
            yield from _problems(shape.value, each, f"{path}.{key}.member")


def _broken(shape: Shape, value: Any) -> Iterator[str]:  # noqa: ANN401 - a value of any shape
    """Yield what a value must be and is not."""
    limits = shape.metadata
    if shape.type_name in {"integer", "long", "float", "double"}:
        size, what = value, "have value"
    elif shape.type_name in {"string", "list", "map"}:
        size, what = len(value), "have length"
    else:
        return
    if "min" in limits and size < limits["min"]:
        yield f"{what} greater than or equal to {limits['min']}"
    if "max" in limits and size > limits["max"]:
        yield f"{what} less than or equal to {limits['max']}"
    if shape.type_name == "string":
        if "pattern" in limits and (pattern := _compiled(limits["pattern"])) and not pattern.fullmatch(value):
            yield f"satisfy regular expression pattern: {limits['pattern']}"
        if "enum" in limits and value not in limits["enum"]:
            yield f"satisfy enum value set: [{', '.join(limits['enum'])}]"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return a pattern of a model, which is written for Java; None if Python cannot read it."""
    python = pattern
    for java, own in _CLASSES:
        python = python.replace(java, own)
    try:
        return re.compile(python, 0 if python != pattern else re.ASCII)
    except re.error:
        return None


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
