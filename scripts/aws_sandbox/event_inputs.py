"""Inputs of EventBridge targets: `Input`, `InputPath` and `InputTransformer`.

moto's transformer drops the account, cannot insert an object into a template and ignores `Input` and `InputPath`. See https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aws_sandbox.json_paths import at

# `"text with <name>"` or `<name>`.
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|<[^<>"]+>')
_VARIABLE = re.compile(r"<([^<>\"]+)>")


def target_input(target: Mapping[str, Any], event: Mapping[str, Any], rule_name: str, rule_arn: str) -> str:
    """Return the JSON text that a target receives.

    Args:
        target: The target as in PutTargets.
        event: The event.
        rule_name: Name of the rule.
        rule_arn: ARN of the rule.

    Raises:
        ValueError: The result is not JSON, or EventBridge does not support a path.
    """
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(at(event, target["InputPath"]))
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    values = {
        **{name: at(event, path) for name, path in transformer.get("InputPathsMap", {}).items()},
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_name,
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
        "aws.events.event.json": event,
    }
    return transformed(transformer["InputTemplate"], values)


def transformed(template: str, values: Mapping[str, Any]) -> str:
    """Return a template with its variables replaced: by text within quotes, by JSON elsewhere.

    Raises:
        ValueError: The result is not JSON.
    """

    def replace(part: re.Match[str]) -> str:
        text = part.group()
        if text.startswith("<"):
            value = values.get(text[1:-1])
            return "" if value is None else json.dumps(value)
        return _VARIABLE.sub(lambda variable: _quoted(values.get(variable[1])), text)

    result = _PART.sub(replace, template)
    json.loads(result)
    return result


def _quoted(value: object) -> str:
    """Return a value as text within a JSON string; an empty string if it is missing."""
    if value is None:
        return ""
    return json.dumps(value if isinstance(value, str) else json.dumps(value))[1:-1]
