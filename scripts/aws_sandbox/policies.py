"""Evaluation of IAM policies.

moto treats unknown conditions as met, unmet ones as a denial, and most resources as `*`, so that a role with least
privilege could do nothing. Policy variables (`${aws:…}`) that the request lacks match nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Document = Mapping[str, Any]

_VARIABLE = re.compile(r"\$\{([^${}]+)\}")


@dataclass(frozen=True)
class Principal:
    """A caller as trust policies and resource policies name it.

    Attributes:
        kind: The key under `Principal`.
        names: All names that match the caller.
    """

    kind: Literal["AWS", "Service"]
    names: frozenset[str]


@dataclass(frozen=True)
class Request:
    """A request to authorize.

    Attributes:
        action: `ssm:GetDocument`.
        resource: ARN of the resource; `*` for actions without resource-level permissions.
        context: Values of the condition keys in the request.
        principal: The caller, for policies with a `Principal`; identity policies have none.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    principal: Principal | None = None


def allows(documents: Iterable[Document], request: Request) -> bool:
    """Return whether policies together allow a request: at least one statement allows and none denies it."""
    return effects(documents, request) == {"Allow"}


def effects(documents: Iterable[Document], request: Request) -> set[str]:
    """Return the effects of the statements that match a request: `Allow`, `Deny`, both or none."""
    return {
        statement["Effect"]
        for document in documents
        for statement in _many(document["Statement"])
        if _applies(statement, request)
    }


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _names(statement, "Action", request.action.lower(), str.lower)
        and _names(statement, "Resource", request.resource, lambda pattern: _resolved(pattern, request.context))
        and _means(statement.get("Principal"), request.principal)
        # Fail closed: an unknown condition does not allow, and does not prevent a denial.
        and _conditions_met(statement.get("Condition", {}), request.context, doubt=statement["Effect"] == "Deny")
    )


def _names(statement: Mapping[str, Any], element: str, value: str, normal: Callable[[str], str]) -> bool:
    """Return whether `Action` or `Resource` matches a value, or `NotAction` or `NotResource` does not."""
    if (excluded := statement.get(f"Not{element}")) is not None:
        return not any(like(value, normal(pattern)) for pattern in _many(excluded))
    # A trust policy has no Resource: it is attached to one.
    patterns = _many(statement.get(element, "*" if element == "Resource" else []))
    return any(like(value, normal(pattern)) for pattern in patterns)


def _means(named: str | Mapping[str, Any] | None, principal: Principal | None) -> bool:
    if principal is None or named is None:
        return principal is None and named is None
    if isinstance(named, str):
        return named == "*"
    names = set(_many(named.get(principal.kind, [])))
    return "*" in names or bool(names & principal.names)


def _conditions_met(
    conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str | Sequence[str]], *, doubt: bool
) -> bool:
    values = {key.lower(): [value] if isinstance(value, str) else list(value) for key, value in context.items()}
    for operator, keys in conditions.items():
        for key, expected in keys.items():
            resolved = [_resolved(_text(value), context) for value in _many(expected)]
            met = _condition_met(operator, resolved, values.get(key.lower()))
            if not (doubt if met is None else met):
                return False
    return True


def _condition_met(operator: str, expected: list[str], values: list[str] | None) -> bool | None:
    """Return whether a condition is met; None if its operator is not supported.

    See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html.
    """
    if operator == "Null":
        return expected == [str(values is None).lower()]
    quantifier, _, base = operator.rpartition(":")
    optional = base.endswith("IfExists")
    base = base.removesuffix("IfExists")
    negated = base.startswith(("StringNot", "ArnNot"))
    match base.replace("Not", "", 1):
        case "StringEquals":
            known = [value in expected for value in values or []]
        case "StringEqualsIgnoreCase" | "Bool":
            known = [value.lower() in [each.lower() for each in expected] for value in values or []]
        case "StringLike" | "ArnLike" | "ArnEquals":
            known = [any(like(value, pattern) for pattern in expected) for value in values or []]
        case _:
            return None
    results = [not each for each in known] if negated else known
    if not results:
        return optional or negated or quantifier == "ForAllValues"
    # Without a quantifier the key has a single value.
    return any(results) if quantifier == "ForAnyValue" else all(results)


def like(value: str, pattern: str) -> bool:
    """Return whether a value matches a pattern with IAM's wildcards `*` and `?`."""
    regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(regex, value, re.DOTALL) is not None


def _resolved(pattern: str, context: Mapping[str, str | Sequence[str]]) -> str:
    """Replace policy variables by the request's values; one that the request lacks stays and matches nothing."""

    def value_of(variable: re.Match[str]) -> str:
        value = next((value for key, value in context.items() if key.lower() == variable[1].lower()), None)
        return value if isinstance(value, str) else variable[0]

    return _VARIABLE.sub(value_of, pattern)


def _text(value: object) -> str:
    """Return a condition value as the string that IAM compares: JSON's true is "true"."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _many(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
