"""Plans as change sets: equal for equal changes of different targets, readable, and free of secrets."""

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.changes.change_set import (
    ACTIONS,
    AttributeChange,
    ChangeSet,
    ResourceChange,
    change_set_of,
    forgets,
    protected_destructions,
)
from session_manager_fleet.changes.placeholders import SENSITIVE, SET_BY_AWS, UNKNOWN
from session_manager_fleet.targets.model import Target

HOME = "eu-west-1"
KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_KEY = "0000abcd-12ab-34cd-56ef-1234567890ab"


def target(account: str = "111122223333", region: str = HOME) -> Target:
    return Target(Account(account, f"account {account}"), region, HOME)


def change(address: str, *actions: str, **details: object) -> dict[str, Any]:
    entry = {"address": address, "type": address.split(".", maxsplit=1)[0]}
    return {**entry, "change": {"actions": list(actions), "before": None, "after": None, **details}}


def plan(*changes: dict[str, Any], **outputs: dict[str, Any]) -> dict[str, Any]:
    return {"format_version": "1.2", "resource_changes": list(changes), "output_changes": outputs}


def one(entry: dict[str, Any], for_target: Target | None = None) -> tuple[AttributeChange, ...]:
    [only] = change_set_of(plan(entry), for_target or target()).changes
    return only.attributes


def shown(changes: tuple[AttributeChange, ...]) -> list[tuple[str, object, object]]:
    return [(each.path, each.before, each.after) for each in changes]


def differences(before: object, after: object, **details: object) -> list[tuple[str, object, object]]:
    """The differences in one attribute `x`."""
    entry = change("a.b", "update", before={"x": before}, after={"x": after}, **details)
    return shown(one(entry))


def fingerprint(entry: dict[str, Any], for_target: Target | None = None) -> str:
    return change_set_of(plan(entry), for_target or target()).fingerprint


KEY_POLICY = {
    "policy": json.dumps({"Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Region": "us-east-1"}),
    "bucket": "logs-111122223333-us-east-1-eu-west-1",
    "key": f"arn:aws:kms:us-east-1:111122223333:key/{KEY}",
    "replica": "arn:aws:kms:eu-west-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef",
    "lines": "first\n111122223333\n",
    "arn:aws:iam::111122223333:role/us-east-1": {"team": "a"},
}


def test_equal_changes_of_two_targets_have_one_fingerprint() -> None:
    first = plan(change('aws_kms_key.this["111122223333/us-east-1"]', "create", after=KEY_POLICY))
    other = json.loads(
        json.dumps(first)
        .replace("111122223333", "444455556666")
        .replace("us-east-1", "ap-southeast-2")
        .replace("1234abcd-12ab", "ffffabcd-12ab")
        .replace("mrk-0123", "mrk-9999")
    )

    one_set = change_set_of(first, target(region="us-east-1"))
    other_set = change_set_of(other, target("444455556666", "ap-southeast-2"))

    assert one_set.fingerprint == other_set.fingerprint
    assert one_set == other_set
    [only] = one_set.changes
    assert only.address == 'aws_kms_key.this["<account>/<region>"]'
    assert {each.path: each.after for each in only.attributes} == {
        "jsondecode(policy).Principal.AWS": "arn:aws:iam::<account>:root",
        "jsondecode(policy).Region": "<region>",
        "bucket": "logs-<account>-<region>-<home region>",
        "key": "arn:aws:kms:<region>:<account>:key/<id 1>",
        "replica": "arn:aws:kms:<home region>:<account>:key/<id 2>",
        "lines": "first\n<account>\n",
        '["arn:aws:iam::<account>:role/<region>"].team': "a",
    }


def test_the_home_region_differs_from_the_others() -> None:
    entry = change("a.b", "create", after={"region": "eu-west-1"})

    assert fingerprint(entry) != fingerprint(entry, target(region="us-east-1"))


@pytest.mark.parametrize(
    "text",
    ["9111122223333", "1111222233334", "x111122223333", "us-east-11", "xus-east-1", "1234abcd-12ab-34cd-56ef"],
)
def test_only_whole_names_are_replaced(text: str) -> None:
    [only] = one(change("a.b", "create", after={"value": text}), target(region="us-east-1"))

    assert only.after == text


def test_an_account_whose_id_is_part_of_another_number_is_not_confused_with_it() -> None:
    serial = change("a.b", "create", after={"serial": "4111122223333"})
    account = change("a.b", "create", after={"serial": "111122223333"})

    assert fingerprint(serial) == fingerprint(serial, target("411112222333")) != fingerprint(account)


def test_what_belongs_to_other_accounts_stays() -> None:
    foreign = f"arn:aws:kms:us-east-1:999988887777:key/{KEY}"
    own = f"arn:aws:kms:eu-west-1:111122223333:key/{OTHER_KEY}"

    changes = one(change("a.b", "create", after={"bare": KEY, "foreign": foreign, "own": own}))

    assert [each.after for each in changes] == [
        KEY,
        f"arn:aws:kms:us-east-1:999988887777:key/{KEY}",
        "arn:aws:kms:<region>:<account>:key/<id 1>",
    ]


def test_ids_are_kept_apart_within_a_change_set() -> None:
    same = change("a.b", "create", after={"x": KEY, "y": KEY})
    two = change("a.b", "create", after={"x": KEY, "y": OTHER_KEY})

    assert [each.after for each in one(two)] == ["<id 1>", "<id 2>"]
    assert fingerprint(same) != fingerprint(two)


@pytest.mark.parametrize(
    "text", ["<account>", "<region>", "<home region>", "<id 1>", UNKNOWN, SENSITIVE, SET_BY_AWS, "\\<account>"]
)
def test_a_literal_placeholder_is_no_placeholder(text: str) -> None:
    [only] = one(change("a.b", "create", after={"x": text}))

    assert only.after == f"\\{text}"


@pytest.mark.parametrize(
    "difference",
    [
        {"after": {"retention": 91, "name": "a"}},
        {"after": {"retention": 90, "name": "b"}},
        {"after": {"retention": "90", "name": "a"}},
        {"after": {"retention": True, "name": "a"}},
        {"after": {"retention": 90, "name": None}},
        {"before": {"retention": 30, "name": "a"}},
        {"actions": ["update"]},
        {"after_unknown": {"name": True}},
        {"after_sensitive": {"name": True}},
        {"replace_paths": [["name"]]},
    ],
)
def test_different_changes_have_different_fingerprints(difference: dict[str, Any]) -> None:
    base = change("a.b", "create", after={"retention": 90, "name": "a"})
    changed = copy.deepcopy(base)
    changed["change"].update(difference)

    assert fingerprint(base) != fingerprint(changed)


def test_the_address_and_the_outputs_count() -> None:
    base = plan(change("a.a", "create"))

    prints = {
        change_set_of(document, target()).fingerprint
        for document in (
            base,
            plan(change("a.b", "create")),
            plan(change("a.a", "create"), change("a.b", "create")),
            plan(change("a.a", "create"), arn={"actions": ["create"]}),
            plan(),
        )
    }

    assert len(prints) == 5


def test_neither_the_order_of_changes_nor_that_of_keys_counts() -> None:
    first = plan(change("a.a", "create", after={"x": KEY, "y": OTHER_KEY}), change("a.b", "delete", before={"z": KEY}))
    second = plan(change("a.b", "delete", before={"z": KEY}), change("a.a", "create", after={"y": OTHER_KEY, "x": KEY}))

    assert change_set_of(first, target()) == change_set_of(second, target())


def test_names_of_the_target_do_not_decide_about_the_order_of_keys() -> None:
    """Otherwise ids would be numbered differently."""

    def of(account: str) -> ChangeSet:
        after = {f"role-{account}": KEY, "role-5": OTHER_KEY}
        return change_set_of(plan(change("a.b", "create", after=after)), target(account))

    assert of("111122223333") == of("999922223333")


def test_only_what_differs_is_reported() -> None:
    before = {"name": "a", "tags": {"team": "x", "stage": "dev"}, "ports": [1, 2, 3], "same": {"deep": [{"a": 1}]}}
    after = {"name": "a", "tags": {"team": "y", "stage": "dev"}, "ports": [1, 3], "same": {"deep": [{"a": 1}]}}

    assert one(change("a.b", "update", before=before, after=after)) == (
        AttributeChange("ports[1]", 2, None),
        AttributeChange("tags.team", "x", "y"),
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["b"], ["a", "b"], [("x[0]", None, "a")]),
        (["a", "b", "c"], ["a", "c"], [("x[1]", "b", None)]),
        (["a", "b"], ["a", "c"], [("x[1]", "b", "c")]),
        ([{"k": 1, "l": 2}], [{"k": 1, "l": 3}], [("x[0].l", 2, 3)]),
        ([], ["a"], [("x[0]", None, "a")]),
        (["a"] * 300, ["b", *["a"] * 300], [("x[0]", None, "b")]),
        ([], None, [("x", [], None)]),
        (None, {}, [("x", None, {})]),
        ({"a": 1}, {}, [("x.a", 1, None)]),
        ({"a": 1}, [1], [("x.a", 1, None), ("x[0]", None, 1)]),
        ({"a": None}, {}, []),
        ([None], [], [("x", [None], [])]),
        (["a", "b", "c", "d"], ["a", "x", "y", "d"], [("x[1]", "b", "x"), ("x[2]", "c", "y")]),
        (["a", "b", "c"], ["x", "a"], [("x[0]", None, "x"), ("x[1]", "b", None), ("x[2]", "c", None)]),
        (["a", "b", "c", "z"], ["p", "a", "q", "z"], [("x[0]", None, "p"), ("x[2]", "b", "q"), ("x[2]", "c", None)]),
        ([{"k": 1, "l": 2}], [{"m": 0}, {"l": 2, "k": 1}], [("x[0].m", None, 0)]),
        (1, 1.5, [("x", 1, 1.5)]),
        ('{"a": 1.5}', '{"a": 2.5}', [("jsondecode(x).a", 1.5, 2.5)]),
        (' {"a": 1}', ' {"a": 2}', [("jsondecode(x).a", 1, 2)]),
        ("[1]", "[2]", [("jsondecode(x)[0]", 1, 2)]),
        (1, "1", [("x", 1, "1")]),
        (0, False, [("x", 0, False)]),
        ({"a.b": 1}, {"a.b": 2}, [('x["a.b"]', 1, 2)]),
    ],
)
def test_differences(before: object, after: object, expected: list[tuple[str, object, object]]) -> None:
    assert differences(before, after) == expected


def test_a_changed_policy_is_read_statement_by_statement() -> None:
    statement = {"Sid": "Logs", "Action": ["logs:PutLogEvents", "logs:CreateLogStream"], "Resource": "*"}
    before = json.dumps({"Statement": [statement]})
    narrowed = {**statement, "Resource": "arn:aws:logs:eu-west-1:111122223333:log-group:x"}
    after = json.dumps({"Statement": [{"Sid": "New", "Action": "kms:Decrypt"}, narrowed]}, indent=2)

    path = "jsondecode(x).Statement"
    assert differences(before, after) == [
        (f"{path}[0].Action[0]", "logs:PutLogEvents", None),
        (f"{path}[0].Action[1]", "logs:CreateLogStream", None),
        (f"{path}[0].Action", None, "kms:Decrypt"),
        (f"{path}[0].Resource", "*", None),
        (f"{path}[0].Sid", "Logs", "New"),
        (f"{path}[1].Action[0]", None, "logs:PutLogEvents"),
        (f"{path}[1].Action[1]", None, "logs:CreateLogStream"),
        (f"{path}[1].Resource", None, "arn:aws:logs:<region>:<account>:log-group:x"),
        (f"{path}[1].Sid", None, "Logs"),
    ]


def test_json_within_json_is_read_too() -> None:
    before = json.dumps({"template": json.dumps({"minutes": 20})})
    after = json.dumps({"template": json.dumps({"minutes": 10})})

    assert differences(before, after) == [("jsondecode(jsondecode(x).template).minutes", 20, 10)]


def test_json_deeper_than_sixty_four_levels_stays_a_text() -> None:
    """Recursion is bounded, also where each level is a text in a text or an object in an object."""
    for around in ("[%s]", '{"a": %s}'):
        read, text = "1", "1"
        for _ in range(64):
            read = around % read
        text = around % read
        [(path, before, after)] = differences(read, read.replace("1", "2"))
        assert (path.startswith("jsondecode(x)"), before, after) == (True, 1, 2)
        [(path, before, after)] = differences(text, text.replace("1", "2"))
        assert (path, before, after) == ("x", text, text.replace("1", "2"))
    inner = json.dumps({"a": 1})
    for _ in range(6):
        inner = json.dumps([inner])
    [(path, _, _)] = differences(inner, inner.replace("1", "2"))
    assert path.count("jsondecode") == 7


@pytest.mark.parametrize("hides", ["before_sensitive", "after_sensitive"])
def test_different_secrets_are_different_changes_and_equal_ones_are_equal(hides: str) -> None:
    def of(secret: object) -> AttributeChange:
        values = {"before": {"x": "old"}, "after": {"x": "new"}, hides: {"x": True}}
        values[hides.removesuffix("_sensitive")] = {"x": secret}
        [only] = one(change("a.b", "update", **values))
        return only

    one_secret, other = of({"b": "hunter2", "a": 1}), of({"b": "hunter3", "a": 1})
    assert one_secret.hidden_sha256 != other.hidden_sha256
    assert one_secret == of({"a": 1, "b": "hunter2"})
    assert re.fullmatch("[0-9a-f]{16}", one_secret.hidden_sha256)
    assert SENSITIVE in (one_secret.before, one_secret.after)
    assert "hunter" not in repr(one_secret)


def test_json_that_is_only_written_differently_differs_as_text() -> None:
    assert differences('{"a":1}', '{"a": 1}') == [("x", '{"a":1}', '{"a": 1}')]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": 1.50}',
        '{"a": 1e400}',
        "[" * 5000,
        "{broken",
        "${jsonencode({})}",
        "{}}",
    ],
)
def test_what_json_would_lose_stays_a_text(text: str) -> None:
    assert differences(text, '{"a": 3}') == [("x", text, '{"a": 3}')]


def test_the_attributes_that_force_a_replacement_are_marked() -> None:
    entry = change(
        "aws_iam_role.this",
        "delete",
        "create",
        before={"name": "a", "path": "/", "block": [{"x": 1}]},
        after={"name": "b", "path": "/b/", "block": [{"x": 2}]},
        replace_paths=[["name"], ["block", 0, "x"]],
    )

    assert {each.path: each.forces_replacement for each in one(entry)} == {
        "name": True,
        "path": False,
        "block[0].x": True,
    }


def test_the_reason_of_a_change_is_kept_where_attributes_do_not_show_it() -> None:
    tainted = {**change("a.b", "delete", "create"), "action_reason": "replace_because_tainted"}
    attribute = {**change("a.b", "delete", "create"), "action_reason": "replace_because_cannot_update"}
    deposed = {**change("a.b", "delete"), "deposed": "0b1c2d3e"}

    reasons = [change_set_of(plan(entry), target()).changes[0].reason for entry in (tainted, attribute, deposed)]

    assert reasons == ["replace because tainted", "", "left over from an earlier replacement"]


def test_a_move_is_shown_and_destroys_nothing() -> None:
    moved = {**change("a.new", "no-op"), "previous_address": "a.old"}

    [only] = change_set_of(plan(moved), target()).changes

    assert (only.action, only.address, only.reason, only.destructive) == ("move", "a.new", "was a.old", False)


def test_secrets_do_not_reach_the_change_set() -> None:
    changes = one(
        change(
            "a.b",
            "update",
            before={"password": "old secret", "list": ["open", "secret 1"], "all": {"x": "secret 2"}, "same": "secret"},
            after={"password": "new secret", "list": ["shut", "secret 3"], "all": {"x": "secret 4"}, "same": "secret"},
            before_sensitive={"password": True, "list": [False, True], "all": True, "same": True},
            after_sensitive={"password": True, "list": [False, True], "all": True, "same": True},
        )
    )

    assert shown(changes) == [
        ("all", SENSITIVE, SENSITIVE),
        ("list[0]", "open", "shut"),
        ("list[1]", SENSITIVE, SENSITIVE),
        ("password", SENSITIVE, SENSITIVE),
    ]


def preferences(profile: str | None, idle: int = 20) -> str:
    """What modules/preferences passes on."""
    shell_profile = {"linux": profile, "windows": None}
    return json.dumps({"preferences": {"idleSessionTimeout": idle, "shellProfile": shell_profile}})


@pytest.mark.parametrize(
    ("kind", "attribute", "path"),
    [
        ("aws_lambda_invocation", "input", "jsondecode(input).preferences.shellProfile.linux"),
        ("aws_cloudwatch_event_target", "input", "jsondecode(input).preferences.shellProfile.linux"),
        ("terraform_data", "input_template", "input_template"),
    ],
)
def test_a_shell_profile_is_a_secret_whose_change_counts(kind: str, attribute: str, path: str) -> None:
    template = "" if attribute == "input" else '{"cause": <cause>, '  # no JSON before AWS has filled it in

    def of(before: str, after: str) -> tuple[AttributeChange, ...]:
        old, new = ({attribute: template + preferences(text)} if text else None for text in (before, after))
        entry = change(f"{kind}.b", "update", before=old, after=new)
        return one({**entry, "type": kind})

    assert of("old canary", "old canary") == ()
    assert shown(of("old canary", "new canary")) == [(path, SENSITIVE, SENSITIVE)]
    assert "canary" not in str(of("", "new canary"))
    assert (path, None, SENSITIVE) in shown(of("", "new canary"))
    assert (path, SENSITIVE, None) in shown(of("old canary", ""))
    assert of("old canary", "new canary") != of("old canary", "newer canary"), (
        "different profiles are different changes"
    )


# Each preference of a target, with a value other than that of WANTED.
OTHER_VALUES = {
    "s3BucketName": "other-logs",
    "s3KeyPrefix": "other/111122223333/eu-west-1",
    "s3EncryptionEnabled": False,
    "cloudWatchLogGroupName": "other-group",
    "cloudWatchEncryptionEnabled": False,
    "cloudWatchStreamingEnabled": False,
    "runAsEnabled": True,
    "runAsDefaultUser": "root2",
    "idleSessionTimeout": 60,
    "maxSessionDuration": 1440,
}
WANTED: dict[str, Any] = {
    "document": "SSM-SessionManagerRunShell",
    "preferences": {
        **dict.fromkeys(OTHER_VALUES),
        "idleSessionTimeout": 20,
        "shellProfile": {"linux": None, "windows": None},
    },
    "adopt": "replace",
    "waive": [],
}


def first_plan(wanted: dict[str, Any], before: str | None = None, **settings: object) -> dict[str, Any]:
    """A plan whose key is new: the ARN makes all of the input unknown."""
    old = {"input": before} if before else None
    actions = ["update"] if before else ["create"]
    invocation = change("aws_lambda_invocation.this", *actions, before=old, after={}, after_unknown={"input": True})
    output = {"actions": ["create"], "after": wanted, "after_unknown": {"preferences": {"kmsKeyId": True}}}
    variables = {"preferences": {"value": {"on_destroy": "restore", "revision": "1", **settings}}}
    return {**plan(invocation, preferences=output), "variables": variables}


def with_preference(**values: object) -> dict[str, Any]:
    return {**WANTED, "preferences": {**WANTED["preferences"], **values}}


def test_the_first_plan_shows_every_preference_and_only_the_new_key_as_unknown() -> None:
    wanted = with_preference(**OTHER_VALUES, shellProfile={"linux": "canary", "windows": None})

    [only] = change_set_of(first_plan(wanted), target()).changes

    assert {path.rpartition(".")[2]: after for path, _, after in shown(only.attributes)} == {
        **OTHER_VALUES,
        "s3KeyPrefix": "other/<account>/<region>",
        "kmsKeyId": UNKNOWN,
        "linux": SENSITIVE,
        "document": "SSM-SessionManagerRunShell",
        "adopt": "replace",
        "waive": [],
        "on_destroy": "restore",
        "revision": "1",
    }
    assert "canary" not in str(only)


@pytest.mark.parametrize(
    "other",
    [
        *(first_plan(with_preference(**{name: value})) for name, value in OTHER_VALUES.items()),
        first_plan(with_preference(shellProfile={"linux": "a", "windows": None})),
        first_plan(with_preference(shellProfile={"linux": "b", "windows": None})),
        first_plan(with_preference(shellProfile={"linux": None, "windows": "a"})),
        first_plan({**WANTED, "document": "Other"}),
        first_plan({**WANTED, "adopt": "merge"}),
        first_plan({**WANTED, "waive": ["log_group"]}),
        first_plan(WANTED, on_destroy="retain"),
        first_plan(WANTED, revision="2"),
    ],
)
def test_plans_that_differ_in_one_setting_never_share_a_fingerprint(other: dict[str, Any]) -> None:
    profile = first_plan(with_preference(shellProfile={"linux": "c", "windows": None}))

    fingerprints = {change_set_of(each, target()).fingerprint for each in (first_plan(WANTED), profile, other)}

    assert len(fingerprints) == 3


def test_a_new_key_shows_what_else_changes_and_nothing_else() -> None:
    before = json.dumps({**WANTED, "on_destroy": "restore", "revision": "1"})

    [only] = change_set_of(first_plan(with_preference(idleSessionTimeout=15), before), target()).changes

    assert shown(only.attributes) == [
        ("input.preferences.idleSessionTimeout", 20, 15),
        ("input.preferences.kmsKeyId", None, UNKNOWN),
    ]


def test_what_stands_beside_a_shell_profile_is_shown() -> None:
    before, after = ({"input": preferences("canary", idle)} for idle in (20, 10))

    assert differences(before, after) == [("jsondecode(x.input).preferences.idleSessionTimeout", 20, 10)]
    # Written differently, the same JSON is compared as a text.
    assert differences(before, {"input": before["input"] + " "}) == [("x.input", SENSITIVE, SENSITIVE)]


def test_a_whole_resource_may_be_a_secret() -> None:
    changes = one(change("a.b", "create", after={"token": "secret"}, before_sensitive=False, after_sensitive=True))

    assert shown(changes) == [("(all attributes)", None, SENSITIVE)]


def test_a_secret_that_is_not_known_yet_stays_a_secret() -> None:
    changes = one(change("a.b", "create", after={}, after_unknown={"token": True}, after_sensitive={"token": True}))

    assert shown(changes) == [("token", None, SENSITIVE)]


def test_a_secret_policy_is_not_looked_into() -> None:
    entry = change(
        "a.b", "create", after={"policy": '{"secret": 1}'}, after_sensitive={"policy": True}, before_sensitive=False
    )

    assert shown(one(entry)) == [("policy", None, SENSITIVE)]


def test_values_that_are_not_known_yet_are_marked() -> None:
    changes = one(
        change(
            "a.b",
            "create",
            after={"name": "a", "tags": {"x": "y"}, "list": [None, "b"], "block": [{"inner": "c"}]},
            after_unknown={
                "arn": True,
                "tags": {"z": True},
                "list": [True, False],
                "block": [{"id": True}],
                "whole": [{"id": True}],
                "none": {},
            },
        )
    )

    assert {each.path: each.after for each in changes} == {
        "arn": UNKNOWN,
        "block[0].id": UNKNOWN,
        "block[0].inner": "c",
        "list[0]": UNKNOWN,
        "list[1]": "b",
        "name": "a",
        "tags.x": "y",
        "tags.z": UNKNOWN,
        "whole[0].id": UNKNOWN,
    }


def test_a_policy_that_is_not_known_yet_shows_the_old_text() -> None:
    entry = change("a.b", "update", before={"policy": '{"a":"111122223333"}'}, after={}, after_unknown={"policy": True})

    assert one(entry) == (AttributeChange("policy", '{"a":"<account>"}', UNKNOWN),)


def test_what_aws_alone_sets_does_not_split_groups() -> None:
    def update(modified: str) -> dict[str, Any]:
        return change(
            "aws_lambda_function.this",
            "update",
            before={"timeout": 30, "last_modified": modified},
            after={"timeout": 60},
            after_unknown={"last_modified": True},
        )

    assert fingerprint(update("2026-01-01T00:00:00Z")) == fingerprint(update("2026-02-02T00:00:00Z"))
    assert AttributeChange("last_modified", SET_BY_AWS, UNKNOWN) in one(update("2026-01-01T00:00:00Z"))


def test_a_deletion_shows_what_is_lost() -> None:
    changes = one(change("a.b", "delete", before={"name": "a"}, after=None, after_unknown={}, after_sensitive=False))

    assert changes == (AttributeChange("name", "a", None),)


def test_destructive_changes_come_first_then_by_address() -> None:
    changes = change_set_of(
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
    assert [change.action for change in changes if change.destructive] == ["replace", "replace", "delete", "forget"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("aws_kms_key.this", "aws_kms_key"),
        ('module.a["x.aws_s3_bucket.y"].aws_kms_key.this["b.c"]', "aws_kms_key"),
        ("module.preferences[0].aws_cloudwatch_log_group.sessions[0]", "aws_cloudwatch_log_group"),
        ('aws_kms_key.this["quoted \\"]."]', "aws_kms_key"),
    ],
)
def test_the_type_of_a_resource(address: str, expected: str) -> None:
    assert ResourceChange("delete", address).type == expected


def test_destructions_of_what_cannot_be_had_back_are_found() -> None:
    changes = ChangeSet(
        (
            ResourceChange("replace", "aws_kms_key.this"),
            ResourceChange("delete", 'module.a["b"].aws_s3_bucket.this'),
            ResourceChange("delete", "aws_cloudwatch_log_group.sessions[0]"),
            ResourceChange("forget", "aws_kms_key.forgotten"),
            ResourceChange("update", "aws_kms_key.updated"),
            ResourceChange("delete", "aws_kms_alias.this"),
        )
    )

    assert protected_destructions(changes) == list(changes.changes[:3])
    assert changes.destructive


def test_only_outputs_that_change_are_named() -> None:
    outputs: dict[str, dict[str, Any]] = {
        "z": {"actions": ["create"]},
        "a": {"actions": ["update"]},
        "same": {"actions": ["no-op"]},
        "none": {"actions": []},
    }

    assert change_set_of(plan(**outputs), target()).outputs == ("a", "z")


def test_a_plan_without_changes_is_empty() -> None:
    empty = change_set_of({"format_version": "1.2"}, target())

    assert (empty.changes, empty.outputs) == ((), ())


ACCOUNTS = st.from_regex(r"[0-9]{12}", fullmatch=True)
REGIONS = st.sampled_from(["us-east-1", "us-west-2", "eu-central-1", "ap-southeast-2"])
NAMED = ("{account}", "{region}", "arn:aws:iam::{account}:role/x-{region}", '{{"a": "{account}"}}', "{account}_1")
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(NAMED)
) | st.text(alphabet=st.characters(exclude_categories=("Cs", "Nd")), max_size=8)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LEAVES.map(str), inner, max_size=3),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), VALUES, min_size=1, max_size=4)


def filled(value: Any, for_target: Target) -> Any:  # noqa: ANN401 - any JSON
    """Put a target's names into a template."""
    if isinstance(value, str) and ("{account}" in value or "{region}" in value):
        return value.format(account=for_target.account.id, region=for_target.region)
    if isinstance(value, list):
        return [filled(item, for_target) for item in value]
    if isinstance(value, dict):
        return {filled(key, for_target): filled(item, for_target) for key, item in value.items()}
    return value


@settings(deadline=None)
@given(before=ATTRIBUTES, after=ATTRIBUTES, first=ACCOUNTS, second=ACCOUNTS, regions=st.tuples(REGIONS, REGIONS))
def test_one_template_has_one_fingerprint_in_all_targets(
    before: dict[str, Any], after: dict[str, Any], first: str, second: str, regions: tuple[str, str]
) -> None:
    targets = [target(account, region) for account, region in zip((first, second), regions, strict=True)]
    sets = [
        change_set_of(plan(filled(change("a.b", "update", before=before, after=after), each)), each) for each in targets
    ]

    assert sets[0] == sets[1]
    assert sets[0].fingerprint == sets[1].fingerprint


@settings(deadline=None)
@given(attributes=ATTRIBUTES, data=st.data())
def test_any_other_value_has_another_fingerprint(attributes: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(attributes)))
    value = data.draw(LEAVES.filter(lambda value: json.dumps(value) != json.dumps(attributes[name])))
    if value is None and attributes[name] is None:
        return

    assert fingerprint(change("a.b", "create", after=attributes)) != fingerprint(
        change("a.b", "create", after={**attributes, name: value})
    )


@settings(deadline=None)
@given(before=VALUES, after=VALUES)
def test_equal_values_are_no_difference_and_others_are_one(before: object, after: object) -> None:
    assert differences(before, copy.deepcopy(before)) == []
    if json.dumps(without_nulls(before), sort_keys=True) != json.dumps(without_nulls(after), sort_keys=True):
        assert differences(before, after)


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("kind", "variable", "text"),
    [
        ("aws_config_config_rule", "config_rule", {"source": [{"custom_policy_details": [{"policy_text": True}]}]}),
        ("aws_s3_bucket_policy", "log_archive", {"policy": True}),
    ],
)
def test_settings_that_decide_an_unknown_text_are_shown_and_distinguish_targets(
    kind: str, variable: str, text: dict[str, Any]
) -> None:
    """The ARN of a new policy or key makes the whole text unknown, as the excluded roles in that of the rule."""

    def planned(unknown: object, **settings: object) -> ChangeSet:
        entry = change(f"{kind}.this", "create", after={"name": "n"}, after_unknown=unknown)
        return change_set_of({**plan(entry), "variables": {variable: {"value": settings}}}, target())

    one, other = planned(text, names=["Legacy"]), planned(text, names=["Legacy", "Batch"])

    assert ("settings.names[0]", None, "Legacy") in shown(one.changes[0].attributes)
    assert one.fingerprint != other.fingerprint
    # A text that is known says it itself; a variable that is not there says nothing.
    assert planned({}, names=["Legacy"]).fingerprint == planned({}, names=["Batch"]).fingerprint
    assert not any(path.startswith("settings") for path, *_ in shown(planned(text).changes[0].attributes))


@pytest.mark.parametrize(
    ("actions", "before", "action"),
    [
        (["delete"], {"skip_destroy": True}, "forget"),
        (["delete"], {"skip_destroy": False}, "delete"),
        (["delete"], {}, "delete"),
        (["delete"], None, "delete"),
        (["update"], {"skip_destroy": True}, "update"),
        (["delete", "create"], {"skip_destroy": True}, "replace"),
    ],
)
def test_a_log_group_that_stays_in_the_account_is_forgotten(actions: list[str], before: object, action: str) -> None:
    entry = change("aws_cloudwatch_log_group.sessions", *actions, before=before)

    [only] = change_set_of(plan(entry), target()).changes

    assert (only.action, only.reason, forgets(entry)) == (action, "", action == "forget")


def test_keys_in_any_script_are_shown_as_they_are_written() -> None:
    assert differences({"größe": 1}, {"größe": 2}) == [('x["größe"]', 1, 2)]
