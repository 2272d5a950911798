"""Names of a target as placeholders, in values of any form."""

import json

import pytest

from session_manager_fleet.changes.differences import JsonText, Mark
from session_manager_fleet.changes.placeholders import SENSITIVE, UNKNOWN, Placeholders

ACCOUNT = "111122223333"
KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def names() -> Placeholders:
    return Placeholders(ACCOUNT, "eu-west", "eu-west-1", [f"arn:aws:kms:eu-west-1:999988887777:key/{KEY}"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Mark("unknown"), UNKNOWN),
        (Mark("sensitive", "hunter2"), SENSITIVE),
        (JsonText(f'{{"a": "{ACCOUNT}"}}', {"a": ACCOUNT}), '{"a": "<account>"}'),
        ([ACCOUNT, [ACCOUNT]], ["<account>", ["<account>"]]),
        ({ACCOUNT: {"a": ACCOUNT}}, {"<account>": {"a": "<account>"}}),
        ([1, 1.5, True, None], [1, 1.5, True, None]),
        # The longest name first, where one begins like another one.
        ("eu-west-1 eu-west", "<home region> <region>"),
        (KEY, KEY),
    ],
)
def test_names_are_replaced_inside_values(names: Placeholders, value: object, expected: object) -> None:
    assert names.value(value) == expected


def test_ids_are_numbered_in_the_order_in_which_they_are_met(names: Placeholders) -> None:
    first, second = KEY.replace("1234abcd", "aaaaaaaa"), KEY.replace("1234abcd", "bbbbbbbb")

    assert names.value([second, first, second, {first: KEY}]) == ["<id 1>", "<id 2>", "<id 1>", {"<id 2>": KEY}]
    assert "<id 1>" not in json.dumps(Placeholders(ACCOUNT, "r", "h", []).value("nothing"))
