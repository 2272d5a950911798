"""Normalize a plan to a change set with a fingerprint, so that equal changes of many targets are reviewed once.

A change set holds the differences between before and after, attribute by attribute, also inside texts that are JSON,
as policies are. Names of the target are replaced by placeholders: `<account>`, `<region>`, `<home region>`, and
`<id 1>`, `<id 2>`… for ids of keys and the like. Other accounts, other regions and keys of other accounts stay: they
are settings.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, JsonValue

from session_manager_fleet.changes.differences import Inside, JsonText, Mark, Path, differences, marked
from session_manager_fleet.changes.known_input import with_known_input
from session_manager_fleet.changes.placeholders import SENSITIVE, SET_BY_AWS, Placeholders
from session_manager_fleet.errors import TerraformError
from session_manager_fleet.targets import Target

# Order and symbols of actions, the destructive ones first; terraform's own symbols where it has one.
ACTIONS: Mapping[str, str] = {"replace": "-/+", "delete": "-", "forget": ".", "update": "~", "create": "+", "move": ">"}
DESTRUCTIVE = frozenset({"replace", "delete", "forget"})

# Resource types whose deletion destroys session logs or the keys that decrypt them.
PROTECTED_TYPES = frozenset({"aws_cloudwatch_log_group", "aws_kms_key", "aws_kms_replica_key", "aws_s3_bucket"})

# Attributes computed by AWS per resource; they differ in every account and mean nothing when change sets are compared.
SET_BY_AWS_OF: Mapping[str, frozenset[str]] = {
    "aws_cloudwatch_log_group": frozenset({"creation_time"}),
    "aws_config_config_rule": frozenset({"rule_id"}),
    "aws_iam_policy": frozenset({"attachment_count", "policy_id"}),
    "aws_iam_role": frozenset({"create_date", "unique_id"}),
    "aws_lambda_function": frozenset({"last_modified", "qualified_arn", "qualified_invoke_arn", "version"}),
    "aws_lambda_invocation": frozenset({"result"}),
    "aws_ssm_document": frozenset({"created_date", "default_version", "document_version", "latest_version"}),
    "aws_ssm_parameter": frozenset({"version"}),
}

# May hold secrets wherever preferences are passed, in JSON or in a template around it.
_SHELL_PROFILE = "shellProfile"

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_INSTANCE_KEY = re.compile(r'\[(?:"(?:[^"\\]|\\.)*"|[0-9]+)\]')


@dataclass(frozen=True)
class AttributeChange:
    """One attribute of a resource before and after.

    Attributes:
        path: Path of the attribute, as `tags["team"]`; inside a JSON text `jsondecode(policy).Statement[0].Action`.
        before: Current value, None if there is none; UNKNOWN, SENSITIVE or SET_BY_AWS in place of some.
        after: Planned value, in the same form.
        forces_replacement: This attribute is a reason to replace the resource.
        hidden_sha256: First 16 digits of the digest of the values that SENSITIVE stands for, so that different secrets
            are different changes; empty if nothing is hidden.
    """

    path: str
    before: JsonValue
    after: JsonValue
    forces_replacement: bool = False
    hidden_sha256: str = ""

    @property
    def content(self) -> list[JsonValue]:
        """Everything that distinguishes this change from another one."""
        hidden: list[JsonValue] = [self.hidden_sha256] if self.hidden_sha256 else []
        return [self.path, self.before, self.after, self.forces_replacement, *hidden]


@dataclass(frozen=True)
class ResourceChange:
    """The planned change of one resource.

    Attributes:
        action: A key of ACTIONS.
        address: Terraform's address, with placeholders.
        attributes: Attributes that differ.
        reason: Terraform's reason, where the attributes do not show it; mostly empty.
    """

    action: str
    address: str
    attributes: tuple[AttributeChange, ...] = ()
    reason: str = ""

    @property
    def type(self) -> str:
        """The resource's type, as `aws_kms_key`."""
        return _INSTANCE_KEY.sub("", self.address).split(".")[-2:][0]

    @property
    def destructive(self) -> bool:
        """Whether the resource is deleted, replaced or no longer managed."""
        return self.action in DESTRUCTIVE


@dataclass(frozen=True)
class ChangeSet:
    """All changes of a plan, free of account ids, regions and key ids.

    Attributes:
        changes: Destructive ones first, then by address.
        outputs: Names of root outputs that change.
    """

    changes: tuple[ResourceChange, ...]
    outputs: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, equal for equal changes in any account and region.

        Attributes that stay do not count; sensitive values count with their digest.
        """
        content = [
            [
                [
                    change.action,
                    change.address,
                    change.reason,
                    [each.content for each in change.attributes],
                ]
                for change in self.changes
            ],
            self.outputs,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def destructive(self) -> bool:
        """Whether anything is deleted, replaced or no longer managed."""
        return any(change.destructive for change in self.changes)


def protected_destructions(change_set: ChangeSet) -> list[ResourceChange]:
    """Return the deletions and replacements of resources whose data cannot be restored: keys, log groups, buckets."""
    return [
        change
        for change in change_set.changes
        if change.action in {"delete", "replace"} and change.type in PROTECTED_TYPES
    ]


def change_set_of(plan: Mapping[str, Any], target: Target) -> ChangeSet:
    """Normalize a plan in terraform's JSON format (`terraform show -json`, format version 1).

    Args:
        plan: The plan; https://developer.hashicorp.com/terraform/internals/json-format describes it.
        target: The target of the plan; its account and regions become placeholders.

    Raises:
        TerraformError: The plan has another form.
    """
    try:
        return _normalized(plan, target)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise TerraformError("Terraform shows this plan in a form that this version does not read.") from error


def _normalized(plan: Mapping[str, Any], target: Target) -> ChangeSet:
    entries = [with_known_input(entry, plan) for entry in plan.get("resource_changes", [])]
    names = Placeholders(target.account.id, target.region, target.home_region, entries)
    found = [(action, names.text(entry["address"]), entry) for entry in entries if (action := _action(entry))]
    rank = {action: number for number, action in enumerate(ACTIONS)}
    found.sort(key=lambda item: (rank[item[0]], item[1]))
    changes = tuple(
        ResourceChange(action, names.with_ids(address), tuple(_attributes(entry, names)), _reason(entry, names))
        for action, address, entry in found
    )
    outputs = [
        name for name, change in plan.get("output_changes", {}).items() if change.get("actions") not in (["no-op"], [])
    ]
    return ChangeSet(changes, tuple(sorted(outputs)))


def _action(entry: Mapping[str, Any]) -> str | None:
    """Return the action of ACTIONS for terraform's list of actions; None if nothing is done to the resource."""
    actions = entry["change"]["actions"]
    if "delete" in actions and "create" in actions:
        return "replace"
    if forgets(entry):
        return "forget"
    moved = entry.get("previous_address", entry["address"]) != entry["address"]
    return next((action for action in actions if action in ACTIONS), "move" if moved else None)


def forgets(entry: Mapping[str, Any]) -> bool:
    """Tell whether an entry of a plan takes a log group out of the state and leaves it there (`skip_destroy`)."""
    change = entry["change"]
    return change["actions"] == ["delete"] and (change.get("before") or {}).get("skip_destroy") is True


def _reason(entry: Mapping[str, Any], names: Placeholders) -> str:
    previous = entry.get("previous_address", entry["address"])
    if previous != entry["address"]:
        return f"was {names.with_ids(names.text(previous))}"
    if "deposed" in entry:
        return "left over from an earlier replacement"
    reason = str(entry.get("action_reason", ""))
    # Attributes that force a replacement say so themselves.
    return "" if reason == "replace_because_cannot_update" else reason.replace("_", " ")


def _attributes(entry: Mapping[str, Any], names: Placeholders) -> Iterator[AttributeChange]:
    change = entry["change"]
    before = marked(change.get("before"), None, change.get("before_sensitive"))
    after = marked(change.get("after"), change.get("after_unknown"), change.get("after_sensitive"))
    set_by_aws = SET_BY_AWS_OF.get(str(entry.get("type")), frozenset())
    forcing = [tuple(path) for path in change.get("replace_paths", [])]
    for path, old, new in differences((), before or None, after or None, names.text):
        computed = path[:1] and path[0] in set_by_aws and old is not None
        secrets = [_secret(path, value) for value in (old, new)]
        yield AttributeChange(
            names.with_ids(_path_text(path, names)),
            SET_BY_AWS if computed else names.value(old) if secrets[0] is None else SENSITIVE,
            names.value(new) if secrets[1] is None else SENSITIVE,
            any(path[: len(start)] == start for start in forcing),
            _digest(secrets, names) if secrets != [None, None] else "",
        )


def _secret(path: Path, value: Any) -> str | None:  # noqa: ANN401
    """Return a value that must not be shown as text; None if it may be shown. A shell profile may hold secrets."""
    if isinstance(value, Mark):
        return value.hidden if value.kind == "sensitive" else None
    text = value.text if isinstance(value, JsonText) else value
    if _SHELL_PROFILE in path and text not in (None, {}):
        return json.dumps(text, sort_keys=True)
    return text if isinstance(text, str) and _SHELL_PROFILE in text else None


def _digest(secrets: Sequence[str | None], names: Placeholders) -> str:
    content = [names.value(text) for text in secrets]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _path_text(path: Path, names: Placeholders) -> str:
    text = ""
    for step in path:
        if isinstance(step, Inside):
            text = f"jsondecode({text})"
        elif isinstance(step, int):
            text = f"{text}[{step}]"
        elif _PLAIN_KEY.fullmatch(key := names.text(step)):
            text = f"{text}.{key}" if text else key
        else:
            text = f"{text}[{json.dumps(key, ensure_ascii=False)}]"
    return text or "(all attributes)"


@dataclass(frozen=True)
class PlanOutcome:
    """The outcome of a plan.

    Attributes:
        changed: Whether there is anything to apply.
        add: Resources to create.
        change: Resources to update in place.
        destroy: Resources to delete; a replacement counts as one to create and one to delete.
        drifted: Types of the resources that were changed outside of Terraform; no part of journals.
    """

    changed: bool
    add: int = 0
    change: int = 0
    destroy: int = 0
    drifted: Annotated[tuple[str, ...], Field(exclude=True)] = field(default=(), compare=False)
