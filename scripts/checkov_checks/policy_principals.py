"""Checks of whom resource policies and key policies let in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.terraform.checks.data.base_check import BaseDataCheck
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck
from session_manager_policies import (
    POLICY_ATTRIBUTES,
    Condition,
    Statement,
    is_readable,
    statements_of_document,
    statements_of_json,
)

_ORGANIZATION_KEYS = {"aws:principalorgid", "aws:principalorgpaths", "aws:sourceorgid", "aws:sourceorgpaths"}
_POSITIVE_TESTS = {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"}
# What ties the use of a key by a service, or by everybody, to a purpose.
_SCOPES = ("kms:encryptioncontext", "kms:viaservice", "kms:calleraccount", "kms:grantisforawsresource", "aws:source")


def _restricts(condition: Condition) -> bool:
    """Return whether the condition fails for a value that is not among its own, also for a missing one."""
    quantifier, _, test = condition.test.lower().rpartition(":")
    return test in _POSITIVE_TESTS and quantifier != "forallvalues" and "*" not in condition.values


def _names_the_organization(statement: Statement) -> bool:
    return any(
        condition.variable.lower() in _ORGANIZATION_KEYS and _restricts(condition) for condition in statement.conditions
    )


def _judge_everyone(statement: Statement) -> CheckResult:
    if not statement.is_for_everyone:
        return CheckResult.PASSED if is_readable(statement) else CheckResult.UNKNOWN
    if _names_the_organization(statement):
        return CheckResult.PASSED
    return CheckResult.UNKNOWN if statement.has_more_conditions else CheckResult.FAILED


def _judge_key(statement: Statement) -> CheckResult:
    names_accounts = bool(statement.principals) and all(
        str(identifier).endswith(":root") or str(identifier).isdecimal() for _, identifier in statement.principals
    )
    if {"*", "kms:*"} & set(statement.actions) and not (names_accounts and not statement.excepts_principals):
        return CheckResult.FAILED if is_readable(statement) else CheckResult.UNKNOWN
    if statement.is_for_everyone or any(kind == "Service" for kind, _ in statement.principals):
        scoped = _names_the_organization(statement) or any(
            condition.variable.lower().startswith(_SCOPES) for condition in statement.conditions
        )
        if not scoped:
            return CheckResult.UNKNOWN if statement.has_more_conditions else CheckResult.FAILED
    return CheckResult.PASSED if is_readable(statement) else CheckResult.UNKNOWN


def _is_of_a_key(statement: Statement) -> bool:
    return bool(statement.principals) and any(str(action).startswith("kms:") for action in statement.actions)


@dataclass(frozen=True)
class _Rule:
    check_id: str
    name: str
    category: CheckCategories
    judge: Callable[[Statement], CheckResult]
    resources: tuple[str, ...]
    applies: Callable[[Statement], bool]
    """Whether a statement of an aws_iam_policy_document, which may be for anything, is judged."""

    def judge_all(self, statements: Iterable[Statement]) -> CheckResult:
        """Return the worst result; unknown if there is no statement to judge."""
        results = {self.judge(statement) for statement in statements}
        for result in (CheckResult.FAILED, CheckResult.UNKNOWN):
            if result in results:
                return result
        return CheckResult.PASSED if results else CheckResult.UNKNOWN


class _InDocument(BaseDataCheck):
    def __init__(self, rule: _Rule) -> None:
        self.rule = rule
        super().__init__(
            name=rule.name, id=rule.check_id, categories=[rule.category], supported_data=["aws_iam_policy_document"]
        )

    def scan_data_conf(self, conf: dict[str, Any]) -> CheckResult:
        self.evaluated_keys = ["statement"]
        return self.rule.judge_all(filter(self.rule.applies, statements_of_document(conf)))


class _InResource(BaseResourceCheck):
    def __init__(self, rule: _Rule) -> None:
        self.rule = rule
        super().__init__(
            name=rule.name, id=rule.check_id, categories=[rule.category], supported_resources=rule.resources
        )

    def scan_resource_conf(self, conf: dict[str, Any]) -> CheckResult:
        attribute = POLICY_ATTRIBUTES[self.entity_type]
        self.evaluated_keys = [attribute]
        return self.rule.judge_all(statements_of_json(conf.get(attribute)) or ())


_KEYS = _Rule(
    "CKV_SMF_4",
    "Ensure key policies give kms:* to accounts only, and limit what services and others use the key for",
    CheckCategories.ENCRYPTION,
    _judge_key,
    ("aws_kms_key", "aws_kms_key_policy"),
    _is_of_a_key,
)
_EVERYONE = _Rule(
    "CKV_SMF_5",
    "Ensure no policy allows the principal * without a condition on the organization",
    CheckCategories.IAM,
    _judge_everyone,
    tuple(POLICY_ATTRIBUTES),
    lambda statement: bool(statement.principals),
)
checks = [kind(rule) for rule in (_KEYS, _EVERYONE) for kind in (_InDocument, _InResource)]
