"""What settings decide is shown in the review, also where terraform calls the text that holds it unknown."""

import copy
import json
from typing import Any

import pytest

from session_manager_fleet.changes.known_input import with_known_input

WANTED = {"document": "SSM-SessionManagerRunShell", "preferences": {"idleSessionTimeout": 20, "kmsKeyId": None}}
UNKNOWN_KEY = {"preferences": {"kmsKeyId": True}}


def invocation(before: object = None, **change: object) -> dict[str, Any]:
    known = {"after": {"function_name": "f"}, "after_unknown": {"input": True, "result": True}}
    return {
        "address": "module.preferences[0].aws_lambda_invocation.this",
        "type": "aws_lambda_invocation",
        "change": {"actions": ["update"], "before": before, **known, **change},
    }


def function(digest: object = "abc=", **details: object) -> dict[str, Any]:
    return {"type": "aws_lambda_function", "change": {"after": {"source_code_hash": digest}}, **details}


def plan(*changes: dict[str, Any], output: object = None, **settings: object) -> dict[str, Any]:
    found: dict[str, Any] = {
        "output_changes": {"preferences": output or {"after": WANTED, "after_unknown": UNKNOWN_KEY}},
        "variables": {"preferences": {"value": {"on_destroy": "retain", "revision": "2", "other": 1, **settings}}},
    }
    return {**found, "resource_changes": list(changes)} if changes else found


def test_the_input_of_the_function_is_what_the_output_says_with_the_settings_and_the_digest() -> None:
    entry = invocation({"function_name": "f", "input": json.dumps({"document": "old"})})
    given = copy.deepcopy(entry)

    found = with_known_input(entry, plan(entry, {"type": "aws_kms_key", "change": {"after": None}}, function()))

    known = {**WANTED, "on_destroy": "retain", "revision": "2", "function_digest": "abc="}
    assert found == {
        "address": "module.preferences[0].aws_lambda_invocation.this",
        "type": "aws_lambda_invocation",
        "change": {
            "actions": ["update"],
            "before": {"function_name": "f", "input": {"document": "old"}},
            "after": {"function_name": "f", "input": known},
            "after_unknown": {"input": UNKNOWN_KEY, "result": True},
        },
    }
    assert entry == given


@pytest.mark.parametrize(
    ("text", "shown"),
    [('{"a": 1}', {"a": 1}), ("[1]", "[1]"), ("no JSON", "no JSON"), (None, None), ({"a": 1}, {"a": 1})],
)
def test_the_old_input_is_compared_as_an_object_where_it_is_one(text: object, shown: object) -> None:
    found = with_known_input(invocation({"input": text}), plan())

    assert found["change"]["before"] == {"input": shown}


def test_what_a_plan_does_not_hold_is_left_out() -> None:
    entry = invocation(after=None)
    output = {"preferences": {"after": WANTED}}

    for lacking in (
        {"output_changes": output},
        {"output_changes": output, "variables": {"preferences": {"value": None}}},
    ):
        found = with_known_input(entry, lacking)["change"]
        assert found["before"] is None
        assert found["after"] == {"input": WANTED}
        assert found["after_unknown"] == {"input": {}, "result": True}


@pytest.mark.parametrize("other", [function(None), function(type="aws_s3_object"), {**function(), "change": {}}])
def test_only_the_function_has_the_digest(other: dict[str, Any]) -> None:
    assert "function_digest" not in with_known_input(invocation(), plan(other))["change"]["after"]["input"]
    found = with_known_input(invocation(), plan(other, function("second=")))
    assert found["change"]["after"]["input"]["function_digest"] == "second="


@pytest.mark.parametrize(
    ("entry", "output"),
    [
        (invocation(after_unknown={"input": False}), {}),
        (invocation(after_unknown={}), {}),
        (invocation(after_unknown=True), {}),
        ({**invocation(), "type": "aws_lambda_function"}, {}),
        (invocation(), {"after": None}),
        (invocation(), {"after": WANTED, "after_unknown": True}),
        (invocation(), {"after_unknown": {}}),
    ],
)
def test_other_changes_stay_as_terraform_shows_them(entry: dict[str, Any], output: dict[str, Any]) -> None:
    assert with_known_input(entry, plan(output=output)) is entry


def test_a_plan_without_outputs_keeps_the_input_unknown() -> None:
    entry = invocation()

    assert with_known_input(entry, {}) is entry


RULE = {"source": [{"custom_policy_details": [{"policy_text": True}]}]}


@pytest.mark.parametrize(
    ("kind", "unknown", "variable"),
    [("aws_config_config_rule", RULE, "config_rule"), ("aws_s3_bucket_policy", {"policy": True}, "log_archive")],
)
def test_a_text_that_settings_decide_is_shown_as_the_settings(kind: str, unknown: object, variable: str) -> None:
    change = {"actions": ["update"], "before": {"name": "n"}, "after": {"name": "n"}, "after_unknown": unknown}
    entry = {"address": "a.b", "type": kind, "change": change}
    settings = {"variables": {variable: {"value": {"enabled": True}}, "other": {"value": 1}}}

    found = with_known_input(entry, settings)

    shown = {**change, "after": {"name": "n", "settings": {"enabled": True}}}
    assert found == {"address": "a.b", "type": kind, "change": shown}
    without = {**entry, "change": {**change, "after": None}}
    assert with_known_input(without, settings)["change"]["after"] == {"settings": {"enabled": True}}


@pytest.mark.parametrize(
    ("unknown", "settings"),
    [
        ({"policy": True}, {}),
        ({"policy": True}, {"variables": {}}),
        ({"policy": True}, {"variables": {"log_archive": {}}}),
        ({"policy": True}, {"variables": {"log_archive": {"value": {}}}}),
        ({"policy": {}}, {"variables": {"log_archive": {"value": {"enabled": True}}}}),
        ({}, {"variables": {"log_archive": {"value": {"enabled": True}}}}),
        (True, {"variables": {"log_archive": {"value": {"enabled": True}}}}),
        (None, {"variables": {"log_archive": {"value": {"enabled": True}}}}),
    ],
)
def test_a_text_that_is_known_or_that_nothing_decides_stays(unknown: object, settings: dict[str, Any]) -> None:
    entry = {"type": "aws_s3_bucket_policy", "change": {"after": {"policy": "p"}, "after_unknown": unknown}}

    assert with_known_input(entry, settings) is entry
