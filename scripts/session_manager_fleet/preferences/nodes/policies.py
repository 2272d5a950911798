"""Read IAM policies: whether their statements allow a request, where AWS's simulator may not be asked.

What is not understood never allows, and always denies: an unknown condition of an Allow counts as unmet, that of a Deny
as met. See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Context = Mapping[str, tuple[str, ...]]


def effects(documents: Iterable[Mapping[str, Any]], action: str, resource: str, context: Context) -> set[str]:
    """Return the effects of the statements that match a request: `Allow`, `Deny`, both or none.

    Args:
        documents: Policies of an identity, or permissions boundaries.
        action: The action.
        resource: ARN of the resource; `*` for an action that knows no resources.
        context: Context keys of the request in lower case, with their values.
    """
    return {
        statement["Effect"]
        for document in documents
        for statement in _many(document.get("Statement", []))
        if _names(statement, "Action", action.lower(), fold=True)
        and _names(statement, "Resource", resource, fold=False)
        and _holds(statement.get("Condition", {}), context, doubt=statement["Effect"] == "Deny")
    }


def _names(statement: Mapping[str, Any], element: str, value: str, *, fold: bool) -> bool:
    """Tell whether an element names a value, or its negation, as `NotAction`, does not."""
    patterns, negated = statement.get(element), statement.get(f"Not{element}")
    texts = [str(text).lower() if fold else str(text) for text in _many(patterns if negated is None else negated)]
    # A variable stands for a text that is not known here.
    return any(_like(value, re.sub(r"\$\{[^}]*\}", "*", text)) for text in texts) is (negated is None)


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Context, *, doubt: bool) -> bool:
    for operator, keys in conditions.items():
        for key, expected in keys.items():
            met = _met(operator, [_text(value) for value in _many(expected)], context.get(key.lower()))
            if not (doubt if met is None else met):
                return False
    return True


def _met(operator: str, expected: list[str], values: tuple[str, ...] | None) -> bool | None:
    """Tell whether a condition is met; None if that is not known."""
    if values is None:
        return None
    if operator == "Null":
        return expected == ["false"]
    quantifier, _, base = operator.rpartition(":")
    base = base.removesuffix("IfExists")
    negated = "Not" in base
    plain = base.replace("Not", "")
    if plain in {"StringEquals", "StringEqualsIgnoreCase", "Bool"}:
        exact = plain == "StringEquals"
        wanted = expected if exact else [text.lower() for text in expected]
        found = [(value if exact else value.lower()) in wanted for value in values]
    elif plain in {"StringLike", "ArnLike", "ArnEquals"}:
        found = [any(_like(value, text) for text in expected) for value in values]
    else:
        return None
    results = [each is not negated for each in found]
    return any(results) if quantifier == "ForAnyValue" else all(results)


def _like(value: str, pattern: str) -> bool:
    """Tell whether a value matches a pattern with the wildcards `*` and `?`."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _many(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
