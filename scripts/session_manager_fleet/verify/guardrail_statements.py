"""The statements of the policy that modules/guardrails writes, and what is wrong with those in force."""

import json
from collections.abc import Iterator, Mapping, Sequence
from string import Template
from typing import Any

from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.terraform import ROOT_MODULE

_TEMPLATE = ROOT_MODULE.modules / "guardrails" / "denials.json.tftpl"
_EXEMPT = ("ArnNotLike", "aws:PrincipalArn")
# Of the module's variable config_rule_tag, which the root leaves as it is.
_RULE_TAG = ("session-manager", "config-rule")


def expected_statements(wanted: Mapping[str, Any], values: TargetSettings, partition: str) -> list[dict[str, Any]]:
    """Return the statements of the policy, from the file that the module reads, too.

    Args:
        wanted: The root variable `guardrails`.
        values: Settings with the names of what is deployed.
        partition: Partition of the ARNs.
    """
    deny, names, archive = wanted["deny"], values.names, wanted.get("log_archive") or {}
    exempt, unlogged = list(wanted["exempt_role_arns"]), list(wanted["unlogged_session_role_arns"])
    deployed = [
        f"arn:{partition}:iam::*:role/{names.automation_document}",
        f"arn:{partition}:iam::*:role/{names.function}-*",
    ]
    aliases = [names.data_key_alias, names.logs_key_alias, *archive.get("key_aliases", [])]
    denials = _denials(values, partition, aliases, [*exempt, *deployed, *unlogged])

    def documents(found: Sequence[str]) -> list[str]:
        return [f"arn:{partition}:ssm:*:*:document/{name}" for name in found]

    logged, other = wanted.get("logged_session_documents", []), wanted.get("other_session_documents", [])
    own = documents([names.document, *logged, *other])
    groups = [denied for switch, denied in denials["named"].items() if deny[switch]]
    if logged:
        groups.append({"actions": denials["documents"], "resources": documents(logged)})
    buckets = [archive, *archive.get("other_buckets", [])] if archive else []
    groups += [_bucket(denials["archive"], each, partition) for each in buckets]
    account_wide = [each for switch, actions in denials["account_wide"].items() if deny[switch] for each in actions]
    of_aws = denials["aws_documents"]
    start = ["ssm:StartSession"]
    made = [
        _deny(
            "KeepAsDeployed",
            [action for group in groups for action in group["actions"]],
            {"Resource": [resource for group in groups for resource in group["resources"]]},
            [*exempt, *deployed],
        )
        if groups
        else None,
        _deny("KeepAccountSettings", account_wide, {"Resource": ["*"]}, exempt) if account_wide else None,
        _deny(
            "KeepKeys",
            denials["keys"]["actions"],
            {"Resource": [f"arn:{partition}:kms:*:*:key/*"]},
            exempt,
            {"ForAnyValue:StringEquals": {"kms:ResourceAliases": aliases}},
        )
        if deny["keys"]
        else None,
        _deny(
            "KeepConfigRule",
            denials["config_rule"]["actions"],
            {"Resource": [f"arn:{partition}:config:*:*:config-rule/*"]},
            exempt,
            {"StringEquals": {f"aws:ResourceTag/{_RULE_TAG[0]}": _RULE_TAG[1]}},
        )
        if deny["config_rule"]
        else None,
    ]
    if deny["other_documents"]:
        allowed = [arn for switch, arn in of_aws.items() if not deny[switch]]
        foreign = {
            "StringNotEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"},
            "Null": {"aws:ResourceAccount": "false"},
        }
        made += [
            _deny(
                *("NoOtherSessionDocuments", start, {"NotResource": [*own, *allowed, *denials["session_targets"]]}),
                [*exempt, *unlogged],
            ),
            _deny("NoForeignSessionDocuments", start, {"Resource": own}, [*exempt, *unlogged], foreign),
        ]
    elif denied := [arn for switch, arn in of_aws.items() if deny[switch]]:
        made.append(_deny("NoUnloggedSessions", start, {"Resource": denied}, [*exempt, *unlogged]))
    return [statement for statement in made if statement]


def _denials(
    values: TargetSettings, partition: str, aliases: Sequence[str], special_roles: Sequence[str]
) -> dict[str, Any]:
    """Return the actions and resources of the module. Terraform's `${name}` means the same in string.Template."""
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        values.names.model_dump(),
        partition=partition,
        key_alias_arns=json.dumps([f"arn:{partition}:kms:*:*:{alias}" for alias in aliases]),
        special_role_arns=json.dumps(special_roles),
    )
    denials: dict[str, Any] = json.loads(text)
    return denials


def _bucket(denied: Mapping[str, Any], bucket: Mapping[str, Any], partition: str) -> dict[str, Any]:
    arn, prefix = f"arn:{partition}:s3:::{bucket['bucket_name']}", bucket.get("key_prefix")
    if prefix is not None:
        return {"actions": denied["objects"], "resources": [f"{arn}/{prefix}/*"]}
    return {"actions": [*denied["objects"], *denied["bucket"]], "resources": [arn, f"{arn}/*"]}


def _deny(
    sid: str,
    actions: Sequence[str],
    resources: Mapping[str, Sequence[str]],
    exempt: Sequence[str],
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    test, key = _EXEMPT
    condition = {**(conditions or {}), test: {key: list(exempt)}}
    return {"Sid": sid, "Effect": "Deny", "Action": list(actions), **resources, "Condition": condition}


def judge_statements(found: object, expected: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with the statements of a policy: missing ones, and what others deny more, less or to whom.

    Args:
        found: The statements.
        expected: Those that the module writes.
    """
    statements = {each.get("Sid", ""): each for each in _many(found) if each["Effect"] == "Deny"}
    wanted = {each["Sid"]: each for each in expected}
    if missing := [sid for sid in wanted if sid not in statements]:
        yield f"it does not deny {', '.join(missing)}"
    if more := [str(each.get("Sid", "one without Sid")) for each in _many(found) if each.get("Sid") not in wanted]:
        yield f"it has other statements: {', '.join(more)}"
    for sid, statement in wanted.items():
        if sid in statements:
            yield from _differences(sid, statements[sid], statement)


def _differences(sid: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    there, wanted = _conditions(found), _conditions(expected)
    if more := sorted(there.get(_EXEMPT, frozenset()) - wanted[_EXEMPT]):
        yield f"{sid} exempts {', '.join(more)}"
    if less := sorted(wanted[_EXEMPT] - there.get(_EXEMPT, frozenset())):
        yield f"{sid} does not exempt {', '.join(less)}"
    for key, what in (("Action", "actions"), ("Resource", "resources"), ("NotResource", "resources left out")):
        has, should = set(_many(found.get(key, []))), set(_many(expected.get(key, [])))
        if lacking := sorted(should - has):
            yield f"{sid} lacks the {what} {', '.join(lacking)}"
        if further := sorted(has - should):
            yield f"{sid} has the further {what} {', '.join(further)}"
    if {**there, _EXEMPT: None} != {**wanted, _EXEMPT: None} or "NotAction" in found:
        yield f"{sid} has other conditions"


def _conditions(statement: Mapping[str, Any]) -> dict[tuple[str, str], frozenset[str]]:
    return {
        (test, key): frozenset(map(str, _many(values)))
        for test, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    }


def _many(value: Any) -> Sequence[Any]:  # noqa: ANN401 - JSON: one or a list
    return value if isinstance(value, list) else [value]
