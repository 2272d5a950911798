"""The JSON Schema of organization.yaml, judged by the jsonschema library."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from session_manager_fleet.settings.json_schema import settings_schema
from session_manager_fleet.settings.parsed import load_settings
from session_manager_fleet.settings.schema import SettingsFile

ROOT = Path(__file__).parents[3]
HEAD = {
    "schema_version": 1,
    "organization": {
        "id": "o-exampleorgid",
        "home_region": "eu-west-1",
        "regions": ["eu-west-1"],
        "deployment_role": {"name": "Deploy"},
        "accounts": {"source": "file", "path": "accounts.yaml"},
    },
}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = settings_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def as_editors_see(text: str) -> object:
    """Read YAML the way of JSON: dates are text."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def test_the_example_is_valid(validator: Draft202012Validator) -> None:
    text = (ROOT / "examples" / "organization" / "organization.yaml").read_text(encoding="utf-8")

    assert [error.message for error in validator.iter_errors(as_editors_see(text))] == []


ACCEPTED: dict[str, Any] = {
    "least": {},
    "unset": {"defaults": {"preferences": {"idle_session_timeout": None, "run_as": None}, "tags": {"env": None}}},
    "unset sections": {"defaults": None, "overrides": None, "exceptions": None, "waves": None},
    "one unit": {"overrides": [{"match": {"ou": "Workloads/**"}, "set": {}}]},
    "ids without quotes": {"overrides": [{"match": {"accounts": [111122223333, "Payments*"]}, "set": {}}]},
    "roles": {"overrides": [{"match": {"roles": ["management", "audit"]}, "set": {}}]},
    "exception": {
        "exceptions": [
            {"match": {}, "skip": ["preferences"], "owner": "a", "reason": "b", "expires": "2027-03-31"},
        ]
    },
    "tolerances": {"waves": [{"name": "a", "max_failures": 3}, {"name": "b", "max_failures": "5%"}]},
    "templates": {"rendering": {"templates": "templates"}},
    "key account": {"defaults": {"preferences": {"s3": {"kms_key_account_id": "111122223333"}}}},
}

REFUSED: dict[str, Any] = {
    "unknown section": {"default": {}},
    "unknown key": {"defaults": {"preferences": {"adopts": "merge"}}},
    "unknown condition": {"overrides": [{"match": {"role": ["audit"]}, "set": {}}]},
    "unknown role": {"overrides": [{"match": {"roles": ["boss"]}, "set": {}}]},
    "emptied condition": {"overrides": [{"match": {"accounts": []}, "set": {}}]},
    "condition unset": {"overrides": [{"match": {"accounts": None}, "set": {}}]},
    "override without values": {"overrides": [{"match": {}}]},
    "anonymous exception": {"exceptions": [{"match": {}, "reason": "b", "expires": "2027-03-31"}]},
    "eternal exception": {"exceptions": [{"match": {}, "owner": "a", "reason": "b"}]},
    "unknown component": {
        "exceptions": [{"match": {}, "skip": ["kms"], "owner": "a", "reason": "b", "expires": "2027-03-31"}]
    },
    "text for a number": {"defaults": {"preferences": {"idle_session_timeout": "20"}}},
    "number too large": {"defaults": {"preferences": {"idle_session_timeout": 61}}},
    "retention that CloudWatch lacks": {"defaults": {"preferences": {"cloudwatch": {"retention_in_days": 91}}}},
    "text for a boolean": {"defaults": {"preferences": {"enabled": "yes"}}},
    "tolerance": {"waves": [{"name": "a", "max_failures": "101%"}]},
    "negative tolerance": {"waves": [{"name": "a", "max_failures": -1}]},
    "tag that is no text": {"defaults": {"tags": {"a": 1}}},
    "other version": {"schema_version": 2},
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_the_settings_accept_the_schema_accepts(
    validator: Draft202012Validator, tmp_path: Path, case: str
) -> None:
    document = {**HEAD, **ACCEPTED[case]}
    path = tmp_path / "organization.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    load_settings(path)

    assert [error.message for error in validator.iter_errors(document)] == []


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_the_wrong_shape_the_schema_refuses(validator: Draft202012Validator, case: str) -> None:
    assert list(validator.iter_errors({**HEAD, **REFUSED[case]}))


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and all models below it."""
    yield model
    for definition in model.model_fields.values():
        for part in (definition.annotation, *getattr(definition.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part)


def test_every_key_has_a_description_and_nothing_else_is_allowed() -> None:
    schema = settings_schema()
    assert len(set(models(SettingsFile))) == len(schema["$defs"]) + 1
    for definition in [schema, *schema["$defs"].values()]:
        assert definition["additionalProperties"] is False
        assert definition["description"]
        for key, value in definition["properties"].items():
            refers = "$ref" in value or any("$ref" in choice for choice in value.get("anyOf", []))
            assert refers or value.get("description", "").endswith("."), key
