"""Events are understood wholly, or refused before anything is touched."""

import pytest

from session_preferences.errors import InvalidEventError
from session_preferences.request import Request, parse_event


def test_an_event_of_terraform() -> None:
    event = {
        "preferences": {"idleSessionTimeout": 20},
        "adopt": "merge",
        "on_destroy": "retain",
        "revision": "7",
        "function_digest": "sha256",
        "document": "Team-Preferences",
        "waive": ["no_log_destination"],
        "tf": {
            "action": "update",
            "prev_input": {"document": "Team-Preferences", "preferences": {"kmsKeyId": "alias/a"}},
        },
    }
    assert parse_event(event) == Request(
        action="update",
        document="Team-Preferences",
        preferences={"idleSessionTimeout": 20},
        previous={"kmsKeyId": "alias/a"},
        adopt="merge",
        on_destroy="retain",
        waive=frozenset({"no_log_destination"}),
        cause={},
        notify_topic_arn="",
    )


def test_what_an_event_leaves_out() -> None:
    assert parse_event({"action": "reconcile"}) == Request(
        action="reconcile",
        document="SSM-SessionManagerRunShell",
        preferences={},
        previous={},
        adopt="replace",
        on_destroy="restore",
        waive=frozenset(),
        cause={},
        notify_topic_arn="",
    )


def test_an_event_of_eventbridge() -> None:
    cause = {"event_name": "UpdateDocument", "principal": "", "time": "2027-01-01T00:00:00Z", "event_id": "1"}
    topic = "arn:aws-cn:sns:cn-north-1:123456789012:repairs_of-all"
    request = parse_event({"action": "reconcile", "cause": cause, "notify_topic_arn": topic})
    assert (request.cause, request.notify_topic_arn) == (cause, topic)
    assert parse_event({"action": "reconcile", "cause": None, "notify_topic_arn": None}).cause == {}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (None, "must be an object"),
        ([], "must be an object"),
        ({}, "either tf"),
        ({"action": "diff", "tf": {"action": "create"}}, "either tf"),
        ({"action": "create"}, "action is 'create'; it must be one of"),
        ({"action": "diff", "adapt": "merge"}, "unknown keys: \\['adapt'\\]"),
        ({"action": "diff", "adopt": "overwrite"}, "adopt is 'overwrite'"),
        ({"action": "diff", "adopt": None}, "adopt is None"),
        ({"action": "diff", "on_destroy": ["restore"]}, "on_destroy is \\['restore'\\]"),
        ({"action": "diff", "preferences": []}, "preferences must be an object"),
        ({"action": "diff", "document": "a b"}, "document 'a b' must be"),
        ({"action": "diff", "document": None}, "document None must be"),
        ({"action": "diff", "document": "AWS-StartSession"}, "not beginning with aws, amazon or amzn"),
        ({"action": "diff", "waive": "no_log_destination"}, "waive must be a list"),
        ({"action": "diff", "waive": ["everything"]}, "waive must be a list"),
        ({"action": "diff", "waive": [["no_log_destination"]]}, "waive must be a list"),
        ({"action": "reconcile", "cause": "me"}, "cause must be an object"),
        ({"action": "reconcile", "cause": {"colour": "red"}}, "cause must have texts for"),
        ({"action": "reconcile", "cause": {"time": 1}}, "cause must have texts for"),
        ({"action": "reconcile", "notify_topic_arn": "repairs"}, "notify_topic_arn 'repairs' must be the ARN"),
        ({"action": "reconcile", "notify_topic_arn": ["repairs"]}, "must be the ARN of an SNS topic"),
        ({"tf": "create"}, "tf must be an object"),
        ({"tf": {}}, "tf needs an action"),
        ({"tf": {"action": "read"}}, "action is 'read'"),
        ({"document": "New-Name", "tf": {"action": "update", "prev_input": {}}}, "cannot be renamed"),
        ({"tf": {"action": "update", "prev_input": "{}"}}, "prev_input must be an object"),
        ({"tf": {"action": "update", "prev_input": {"preferences": "{}"}}}, "prev_input.preferences must be an object"),
    ],
)
def test_what_is_not_understood_is_refused(event: object, said: str) -> None:
    with pytest.raises(InvalidEventError, match=said):
        parse_event(event)
