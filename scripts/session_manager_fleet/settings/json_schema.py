"""The JSON Schema of organization.yaml, with which editors complete, describe and check keys."""

from typing import Any

from session_manager_fleet.settings.model_schema import schema_of
from session_manager_fleet.settings.schema import Match, SettingsFile


def settings_schema() -> dict[str, Any]:
    """Return the schema: keys, types, limits and descriptions.

    Only the commands check rules about several keys, about accounts and about regions.
    """
    schema = schema_of(SettingsFile, "validation")
    definitions = schema.pop("$defs")
    for name, definition in {**definitions, "": schema}.items():
        for key, value in definition.get("properties", {}).items():
            if value.get("default", 0) in (None, [], {}) or isinstance(value.get("default"), dict):
                del value["default"]  # empty, or a repetition of the definitions below
            # Null means "not set" for every optional key, except conditions of matchers.
            if key not in definition.get("required", []) and name != Match.__name__:
                definition["properties"][key] = _or_null(value)
    return {**schema, "title": "organization.yaml", "$defs": definitions}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    null = {"type": "null"}
    if null in schema.get("anyOf", []):
        return schema
    about: dict[str, Any] = {key: schema[key] for key in ("title", "description", "default") if key in schema}
    rule = {key: value for key, value in schema.items() if key not in about}
    return {**about, "anyOf": [*rule["anyOf"], null] if list(rule) == ["anyOf"] else [rule, null]}
