"""The input of the preferences function, also where terraform calls all of it unknown.

One unknown member, such as the ARN of a key that does not exist yet, makes the whole JSON text `(known after apply)`
(terraform: a string is known or unknown as a whole). The review would then show none of the preferences. The root's
output `preferences` is an object with the same content, in which only that member is unknown. Other texts that settings
decide become unknown in the same way: those resources get the settings themselves as an attribute.
"""

import json
from collections.abc import Mapping
from typing import Any

_INVOCATION = "aws_lambda_invocation"
_FUNCTION = "aws_lambda_function"
_OUTPUT = "preferences"
# Members of the input that the output lacks: they are settings, which the plan holds as a variable.
_SETTINGS = ("on_destroy", "revision")
# Other types with a text that settings decide and that may be unknown: the path of the text, and the variable.
_DECIDED: Mapping[str, tuple[tuple[str | int, ...], str]] = {
    "aws_config_config_rule": (("source", 0, "custom_policy_details", 0, "policy_text"), "config_rule"),
    "aws_s3_bucket_policy": (("policy",), "log_archive"),
}
SHOWS_SETTINGS = frozenset({_INVOCATION, *_DECIDED})


def with_known_input(entry: Mapping[str, Any], plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a planned change of a resource; one whose text is unknown gets what is known of it.

    Args:
        entry: An element of `resource_changes`.
        plan: The plan in terraform's JSON format.
    """
    change = entry["change"]
    unknown = change.get("after_unknown")
    if entry.get("type") in _DECIDED:
        return _with_settings(entry, plan)
    if entry.get("type") != _INVOCATION or not isinstance(unknown, dict) or unknown.get("input") is not True:
        return entry
    output = plan.get("output_changes", {}).get(_OUTPUT, {})
    wanted, marks = output.get("after"), output.get("after_unknown")
    if not isinstance(wanted, dict) or marks is True:
        return entry
    settings = plan.get("variables", {}).get(_OUTPUT, {}).get("value") or {}
    known = {
        **wanted,
        **{name: settings[name] for name in _SETTINGS if name in settings},
        **_package_digest(plan),
    }
    before = change.get("before") or {}
    return {
        **entry,
        "change": {
            **change,
            "before": {**before, "input": _object(before.get("input"))} if before else None,
            "after": {**(change.get("after") or {}), "input": known},
            "after_unknown": {**unknown, "input": marks or {}},
        },
    }


def _with_settings(entry: Mapping[str, Any], plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a change with the settings as an attribute, if the text that they decide is unknown."""
    path, variable = _DECIDED[entry["type"]]
    unknown: Any = entry["change"].get("after_unknown") or {}
    try:
        for part in path:
            unknown = unknown[part]
    except (LookupError, TypeError):
        return entry
    settings = plan.get("variables", {}).get(variable, {}).get("value")
    if unknown is not True or not settings:
        return entry
    change = entry["change"]
    return {**entry, "change": {**change, "after": {**(change.get("after") or {}), "settings": settings}}}


def _package_digest(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of the function's package, a member of the input, as the plan of the function has it."""
    for entry in plan.get("resource_changes", []):
        if entry.get("type") == _FUNCTION and (digest := (entry["change"].get("after") or {}).get("source_code_hash")):
            return {"function_digest": digest}
    return {}


def _object(text: object) -> object:
    """Return the object in a JSON text, as the new input is one; another text stays as it is."""
    try:
        value = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text
    return value if isinstance(value, dict) else text
