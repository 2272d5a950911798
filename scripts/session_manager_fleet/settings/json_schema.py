"""The JSON Schema of organization.yaml, for editors: completion, descriptions and red lines while one types."""

from __future__ import annotations

from typing import Any

from session_manager_fleet.settings.schema import Match, SettingsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def settings_schema() -> dict[str, Any]:
    """Return the schema.

    It knows keys, types, limits and meanings. What concerns several keys at once, the accounts or the regions, is
    checked by the commands only.
    """
    schema = SettingsFile.model_json_schema()
    definitions = schema.pop("$defs")
    for name, definition in {**definitions, "": schema}.items():
        for key, value in definition.get("properties", {}).items():
            if value.get("default", 0) in (None, [], {}) or isinstance(value.get("default"), dict):
                del value["default"]  # says nothing, or repeats the definitions of what is below
            # Null stands for "not set here" wherever a key may be left out; an empty condition is refused.
            if key not in definition.get("required", []) and name != Match.__name__:
                definition["properties"][key] = _or_null(value)
    return {"$schema": DIALECT, **schema, "title": "organization.yaml", "$defs": definitions}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    null = {"type": "null"}
    if null in schema.get("anyOf", []):
        return schema
    about: dict[str, Any] = {key: schema[key] for key in ("title", "description", "default") if key in schema}
    rule = {key: value for key, value in schema.items() if key not in about}
    return {**about, "anyOf": [*rule["anyOf"], null] if list(rule) == ["anyOf"] else [rule, null]}
