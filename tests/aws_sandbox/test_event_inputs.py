import json
from typing import Any

import pytest

from aws_sandbox.event_inputs import target_input

EVENT = {
    "version": "0",
    "account": "111122223333",
    "time": "2026-11-21T20:00:00Z",
    "detail": {
        "eventName": "UpdateDocument",
        "quoted": 'say "hi" \\ <b>',
        "count": 2,
        "none": None,
        "items": [{"name": "first"}, {"name": "second"}],
        "with-dash": {"a.b": "dotted"},
    },
}


def given(target: dict[str, Any]) -> object:
    return json.loads(target_input(target, EVENT, "rule", "arn:rule"))


def transformed(template: str, **paths: str) -> object:
    return given({"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}})


def test_without_anything_the_event() -> None:
    assert given({}) == EVENT


def test_constant() -> None:
    assert given({"Input": '{"action": "reconcile"}'}) == {"action": "reconcile"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", EVENT),
        ("$.detail.eventName", "UpdateDocument"),
        ("$.detail.items[1].name", "second"),
        ("$.detail['with-dash']['a.b']", "dotted"),
        ("$.detail.with-dash", {"a.b": "dotted"}),
        ("$.detail.missing.more", None),
        ("$.detail.items[9]", None),
    ],
)
def test_part_of_the_event(path: str, value: object) -> None:
    assert given({"InputPath": path}) == value


def test_object_template() -> None:
    template = """
    {
      "action": "reconcile", "name": <name>, "items": <items>, "count": <count>,
      "text": "<name> in <account>, <count> times", "quoted": "<quoted>", "whole": <aws.events.event.json>,
      "rule": "<aws.events.rule-name>", "arn": <aws.events.rule-arn>, "at": <aws.events.event.ingestion-time>
    }
    """
    assert transformed(
        template,
        name="$.detail.eventName",
        items="$.detail.items",
        count="$.detail.count",
        account="$.account",
        quoted="$.detail.quoted",
    ) == {
        "action": "reconcile",
        "name": "UpdateDocument",
        "items": EVENT["detail"]["items"],  # type: ignore[index]
        "count": 2,
        "text": "UpdateDocument in 111122223333, 2 times",
        "quoted": 'say "hi" \\ <b>',
        "whole": EVENT,
        "rule": "rule",
        "arn": "arn:rule",
        "at": "2026-11-21T20:00:00Z",
    }


def test_event_without_its_detail() -> None:
    assert transformed("<aws.events.event>") == {key: value for key, value in EVENT.items() if key != "detail"}


def test_text_template() -> None:
    assert transformed('"<name> was called"', name="$.detail.eventName") == "UpdateDocument was called"


def test_what_is_missing_is_empty() -> None:
    assert transformed('"<name>!"', name="$.detail.missing") == "!"


@pytest.mark.parametrize(
    "target",
    [
        {"InputTransformer": {"InputPathsMap": {"a": "$.detail.missing"}, "InputTemplate": '{"a": <a>}'}},
        {"InputTransformer": {"InputTemplate": "no json"}},
        {"InputPath": "$..detail"},
        {"InputPath": "detail"},
    ],
)
def test_what_cannot_be_delivered(target: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|not a supported JSON path"):
        given(target)
