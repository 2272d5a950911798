"""Plans as change sets: equal for equal changes of different targets, and free of secrets."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from fleet.organization import Account
from fleet.plans import ACTIONS, change_set, group_equal
from fleet.targets import Target

HOME = "eu-west-1"


def target(account: str = "111122223333", region: str = HOME) -> Target:
    return Target(Account(account, f"account {account}"), region, HOME)


def change(address: str, *actions: str, **details: object) -> dict[str, Any]:
    return {"address": address, "change": {"actions": list(actions), "before": None, "after": None, **details}}


def plan(*changes: dict[str, Any], **outputs: dict[str, Any]) -> dict[str, Any]:
    return {"format_version": "1.2", "resource_changes": list(changes), "output_changes": outputs}


def one(change_details: dict[str, Any], for_target: Target | None = None) -> str:
    [only] = change_set(plan(change_details), for_target or target()).changes
    return only.detail


KEY_POLICY = {
    "policy": json.dumps({"Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Region": "us-east-1"}),
    "bucket": "logs-111122223333-us-east-1-eu-west-1",
    "key": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "replica": "arn:aws:kms:eu-west-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef",
}


def test_equal_changes_of_two_targets_have_one_fingerprint() -> None:
    first = plan(change("aws_kms_key.this", "create", after=KEY_POLICY))
    other = json.loads(
        json.dumps(first)
        .replace("111122223333", "444455556666")
        .replace("us-east-1", "ap-southeast-2")
        .replace("1234abcd-12ab", "ffffabcd-12ab")
        .replace("mrk-0123", "mrk-9999")
    )

    one_set = change_set(first, target(region="us-east-1"))
    other_set = change_set(other, target("444455556666", "ap-southeast-2"))

    assert one_set.fingerprint == other_set.fingerprint
    assert one_set == other_set
    [only] = one_set.changes
    for name in ("111122223333", "us-east-1", "eu-west-1", "1234abcd", "0123456789abcdef"):
        assert name not in only.detail
    assert "logs-<account>-<region>-<home region>" in only.detail


def test_the_home_region_differs_from_the_others() -> None:
    document = plan(change("a", "create", after={"region": "eu-west-1"}))

    assert change_set(document, target()).fingerprint != change_set(document, target(region="us-east-1")).fingerprint


@pytest.mark.parametrize(
    "text",
    ["9111122223333", "1111222233334", "x111122223333", "us-east-11", "xus-east-1", "1234abcd-12ab-34cd-56ef"],
)
def test_only_whole_names_are_replaced(text: str) -> None:
    assert text in one(change("a", "create", after={"value": text}), target(region="us-east-1"))


@pytest.mark.parametrize(
    "difference",
    [
        {"after": {"retention": 91, "name": "a"}},
        {"after": {"retention": 90, "name": "b"}},
        {"after": {"retention": "90", "name": "a"}},
        {"after": {"retention": 90, "name": None}},
        {"before": {"retention": 30, "name": "a"}},
        {"actions": ["update"]},
        {"after_unknown": {"name": True}},
        {"after_sensitive": {"name": True}},
    ],
)
def test_different_changes_have_different_fingerprints(difference: dict[str, Any]) -> None:
    base = change("a", "create", after={"retention": 90, "name": "a"})
    changed = copy.deepcopy(base)
    changed["change"].update(difference)

    assert change_set(plan(base), target()).fingerprint != change_set(plan(changed), target()).fingerprint


def test_the_address_and_the_outputs_count() -> None:
    base = plan(change("a", "create"))

    prints = {
        change_set(document, target()).fingerprint
        for document in (
            base,
            plan(change("b", "create")),
            plan(change("a", "create"), change("b", "create")),
            plan(change("a", "create"), arn={"actions": ["create"]}),
            plan(),
        )
    }

    assert len(prints) == 5


def test_the_order_of_keys_does_not_count() -> None:
    first = change_set(plan(change("a", "create", after={"x": 1, "y": 2})), target())
    second = change_set(plan(change("a", "create", after={"y": 2, "x": 1})), target())

    assert first.fingerprint == second.fingerprint


def test_secrets_do_not_reach_the_change_set() -> None:
    detail = one(
        change(
            "a",
            "update",
            before={"password": "old secret", "nested": {"list": ["open", "secret 1"]}, "all": {"x": "secret 2"}},
            after={"password": "new secret", "nested": {"list": ["open", "secret 3"]}, "all": {"x": "secret 4"}},
            before_sensitive={"password": True, "nested": {"list": [False, True]}, "all": True},
            after_sensitive={"password": True, "nested": {"list": [False, True]}, "all": True},
        )
    )

    assert "secret" not in detail
    assert json.loads(detail)[0] == {
        "password": "(sensitive)",
        "nested": {"list": ["open", "(sensitive)"]},
        "all": "(sensitive)",
    }


def test_a_whole_resource_may_be_a_secret() -> None:
    detail = one(change("a", "create", after={"token": "secret"}, before_sensitive=False, after_sensitive=True))

    assert json.loads(detail) == [None, "(sensitive)"]


def test_a_secret_that_is_not_known_yet_stays_a_secret() -> None:
    detail = one(change("a", "create", after={}, after_unknown={"token": True}, after_sensitive={"token": True}))

    assert json.loads(detail) == [None, {"token": "(sensitive)"}]


def test_values_that_are_not_known_yet_are_marked() -> None:
    detail = one(
        change(
            "a",
            "create",
            after={"name": "a", "tags": {"x": "y"}, "list": [None, "b"], "block": [{"inner": "c"}]},
            after_unknown={
                "arn": True,
                "tags": {"z": True},
                "list": [True, False],
                "block": [{"id": True}],
                "none": {},
            },
        )
    )

    unknown = "(known after apply)"
    assert json.loads(detail)[1] == {
        "name": "a",
        "arn": unknown,
        "tags": {"x": "y", "z": unknown},
        "list": [unknown, "b"],
        "block": [{"inner": "c", "id": unknown}],
        "none": {},
    }


def test_a_deletion_shows_what_is_lost() -> None:
    detail = one(change("a", "delete", before={"name": "a"}, after=None, after_unknown={}, after_sensitive=False))

    assert json.loads(detail)[0] == {"name": "a"}


def test_destructive_changes_come_first_then_by_address() -> None:
    changes = change_set(
        plan(
            change("z.create", "create"),
            change("b.update", "update"),
            change("a.create", "create"),
            change("y.replace", "delete", "create"),
            change("x.replace", "create", "delete"),
            change("c.delete", "delete"),
            change("d.forget", "forget"),
            change("e.read", "read"),
            change("f.nothing", "no-op"),
        ),
        target(),
    ).changes

    assert [(change.action, change.address) for change in changes] == [
        ("replace", "x.replace"),
        ("replace", "y.replace"),
        ("delete", "c.delete"),
        ("forget", "d.forget"),
        ("update", "b.update"),
        ("create", "a.create"),
        ("create", "z.create"),
    ]
    assert {change.action for change in changes} <= ACTIONS.keys()


def test_only_outputs_that_change_are_named() -> None:
    outputs: dict[str, dict[str, Any]] = {
        "z": {"actions": ["create"]},
        "a": {"actions": ["update"]},
        "same": {"actions": ["no-op"]},
        "none": {"actions": []},
    }

    assert change_set(plan(**outputs), target()).outputs == ("a", "z")


def test_a_plan_without_changes_is_empty() -> None:
    empty = change_set({"format_version": "1.2"}, target())

    assert (empty.changes, empty.outputs) == ((), ())


def test_equal_change_sets_are_grouped_the_largest_group_first() -> None:
    small = plan(change("a", "delete"))
    large = plan(change("b", "create", after={"account": "111122223333"}))
    targets = [target(), target(region="us-east-1"), target("444455556666")]
    pairs = [
        (targets[0], change_set(small, targets[0])),
        (targets[1], change_set(large, targets[1])),
        (targets[2], change_set(json.loads(json.dumps(large).replace("111122223333", "444455556666")), targets[2])),
    ]

    groups = group_equal(pairs)

    assert [group.targets for group in groups] == [(targets[1], targets[2]), (targets[0],)]
    assert [group.change_set.changes[0].address for group in groups] == ["b", "a"]
    assert group_equal(reversed(pairs))[0].targets == (targets[2], targets[1])
    assert group_equal([]) == []
