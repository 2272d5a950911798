"""Judge the policies of the keys that an apply creates: who may use them, and whether their account keeps them."""

from collections.abc import Iterator, Mapping
from typing import Any

_ORGANIZATION = "aws:PrincipalOrgID"
_CONTEXT = "kms:EncryptionContext:aws:logs:arn"


def judge_policy(
    policy: Mapping[str, Any], root: str, organization: str | None, service: str, *, of_logs: bool
) -> Iterator[str]:
    """Yield what is wrong with a key policy, as it reads after "its policy".

    Args:
        policy: The policy.
        root: ARN of the account's root, whose IAM policies decide.
        organization: Organization whose principals may use the key for sessions, as configured; None for none.
        service: Principal of CloudWatch Logs in the region.
        of_logs: Whether it is the key of a log group.
    """
    allowed = [each for each in _many(policy.get("Statement", [])) if each.get("Effect") == "Allow"]
    if not any(_principals(each) == {f"AWS:{root}"} and _actions(each) == {"kms:*"} for each in allowed):
        yield "does not leave the key to the IAM policies of its account"
    if of_logs and not any(_serves(each, service) for each in allowed):
        yield f"does not let {service} encrypt for the log group"
    for statement in allowed:
        if _principals(statement) <= {f"AWS:{root}", f"Service:{service}"}:
            continue
        if organization and _of_organization(statement) == {organization}:
            continue
        yield f"allows others ({', '.join(sorted(_principals(statement)))}) {', '.join(sorted(_actions(statement)))}"


def _serves(statement: Mapping[str, Any], service: str) -> bool:
    actions = _actions(statement)
    needed = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
    context = statement.get("Condition", {}).get("ArnEquals", {}).get(_CONTEXT)
    by_name = _principals(statement) == {f"Service:{service}"} and bool(context)
    return by_name and all(any(action.startswith(need) for action in actions) for need in needed)


def _of_organization(statement: Mapping[str, Any]) -> set[str]:
    return set(_many(statement.get("Condition", {}).get("StringEquals", {}).get(_ORGANIZATION, [])))


def _principals(statement: Mapping[str, Any]) -> set[str]:
    given = statement.get("Principal", {})
    entries = given.items() if isinstance(given, dict) else [("AWS", given)]
    return {f"{kind}:{name}" for kind, names in entries for name in _many(names)}


def _actions(statement: Mapping[str, Any]) -> set[str]:
    return set(_many(statement.get("Action", [])))


def _many(value: Any) -> list[Any]:  # noqa: ANN401 - JSON: one or a list
    return value if isinstance(value, list) else [value]
