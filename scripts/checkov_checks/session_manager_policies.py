"""Read the statements of policies from aws_iam_policy_document, from JSON and from plans."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from session_manager_values import flatten, is_expression, single

# Attributes that hold a policy of a resource.
POLICY_ATTRIBUTES = {
    "aws_cloudwatch_event_bus_policy": "policy",
    "aws_cloudwatch_log_resource_policy": "policy_document",
    "aws_iam_role": "assume_role_policy",
    "aws_kms_key": "policy",
    "aws_kms_key_policy": "policy",
    "aws_s3_access_point": "policy",
    "aws_s3_bucket": "policy",
    "aws_s3_bucket_policy": "policy",
    "aws_secretsmanager_secret_policy": "policy",
    "aws_sns_topic": "policy",
    "aws_sns_topic_policy": "policy",
    "aws_sqs_queue": "policy",
    "aws_sqs_queue_policy": "policy",
    "aws_vpc_endpoint": "policy",
    "aws_vpc_endpoint_policy": "policy",
}


@dataclass(frozen=True)
class Condition:
    """A condition of a statement."""

    test: str
    variable: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Statement:
    """A statement that allows, whichever way it was written."""

    principals: tuple[tuple[str, Any], ...]
    """Pairs of type (AWS, Service, …) and identifier; "*" alone is AWS's."""
    actions: tuple[Any, ...]
    conditions: tuple[Condition, ...]
    excepts_principals: bool
    """It allows everyone but those that it names (NotPrincipal)."""
    has_more_conditions: bool
    """It has conditions that depend on a value which is not known."""

    @property
    def is_for_everyone(self) -> bool:
        """Whether any principal matches, before the conditions are asked."""
        return self.excepts_principals or any(
            identifier == "*" and kind in {"AWS", "*"} for kind, identifier in self.principals
        )


def statements_of_json(policy: Any) -> list[Statement] | None:
    """Return the allowing statements of a policy; None if it is not known or is no policy."""
    policy = single(policy)
    if isinstance(policy, str):
        try:
            policy = json.loads(policy)
        except ValueError:
            return None
    if not isinstance(policy, dict) or not ({"Statement", "statement"} & policy.keys()):
        return None
    listed = list(flatten(policy.get("Statement", policy.get("statement"))))
    if not all(isinstance(statement, dict) for statement in listed):
        return None
    return [_of_json(statement) for statement in listed if statement.get("Effect", "Allow") == "Allow"]


def statements_of_document(conf: dict[str, Any]) -> list[Statement]:
    """Return the allowing statements of an aws_iam_policy_document, also those that are dynamic."""
    blocks = list(flatten(conf.get("statement")))
    for dynamic in flatten(conf.get("dynamic")):
        content = single((dynamic.get("statement") or {}).get("content")) if isinstance(dynamic, dict) else None
        blocks.append(content)
    return [
        _of_block(block)
        for block in blocks
        if isinstance(block, dict) and single(block.get("effect")) in {None, "Allow"}
    ]


def is_readable(statement: Statement) -> bool:
    """Return whether the principals of a statement are known, as far as a star or a kind of principal is concerned."""
    return not any(
        is_expression(kind) or (kind in {"AWS", "*"} and is_expression(identifier) and not _is_arn(identifier))
        for kind, identifier in statement.principals
    )


def _is_arn(text: str) -> bool:
    # References to an account or a region within an ARN change nothing about whom it names.
    return text.startswith("arn:") or text.endswith(".arn")


def _of_json(statement: dict[str, Any]) -> Statement:
    named = statement.get("Principal", statement.get("NotPrincipal", {}))
    pairs = {"AWS": named} if isinstance(named, str) else named if isinstance(named, dict) else {}
    conditions = [
        Condition(test, variable, tuple(flatten([values])))
        for test, variables in (statement.get("Condition") or {}).items()
        for variable, values in variables.items()
    ]
    return Statement(
        principals=tuple((kind, name) for kind, names in pairs.items() for name in flatten([names])),
        actions=tuple(flatten([statement.get("Action")])),
        conditions=tuple(conditions),
        excepts_principals="NotPrincipal" in statement,
        has_more_conditions=False,
    )


def _of_block(block: dict[str, Any]) -> Statement:
    excepted = list(_blocks(block, "not_principals"))
    return Statement(
        principals=tuple(
            (str(single(principals.get("type"))), name)
            for principals in (*_blocks(block, "principals"), *excepted)
            for name in flatten(principals.get("identifiers"))
        ),
        actions=tuple(flatten(block.get("actions"))),
        conditions=tuple(
            Condition(
                str(single(condition.get("test"))),
                str(single(condition.get("variable"))),
                tuple(flatten(condition.get("values"))),
            )
            for condition in _blocks(block, "condition")
        ),
        excepts_principals=bool(excepted),
        has_more_conditions="dynamic" in block or "dynamic_condition" in block,
    )


def _blocks(block: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    yield from (found for found in flatten(block.get(name)) if isinstance(found, dict))
