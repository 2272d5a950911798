"""The entry: what is logged and told of a run, and that nothing unfit is written, whatever the event says."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from moto import mock_aws
from moto.backends import get_backend

from session_preferences import handler
from session_preferences.aws import Budget
from session_preferences.document import DEFAULT_NAME
from session_preferences.errors import InvalidPreferencesError, NotificationError, PreferencesError

ACCOUNT, REGION = "123456789012", "eu-west-1"
CONTEXT = SimpleNamespace(
    invoked_function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:session-manager-preferences",
    get_remaining_time_in_millis=lambda: 300_000,
)
CAUSE = {
    "event_name": "UpdateDocument",
    "principal": f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/alice",
    "time": "2027-01-01T00:00:00Z",
    "event_id": "0a1b",
}
WANTED = {"cloudWatchLogGroupName": "logs", "shellProfile": {"linux": "export TOKEN=hunter2"}}


class World:
    """An emulated account with a log group, and a topic whose messages can be read."""

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {
            name: boto3.client(name, region_name=REGION) for name in ("ssm", "logs", "sns", "sqs", "s3", "kms")
        }
        self.ssm = self.clients["ssm"]
        self.clients["logs"].create_log_group(logGroupName="logs")
        self.topic = self.clients["sns"].create_topic(Name="repairs")["TopicArn"]
        self.queue = self.clients["sqs"].create_queue(QueueName="told")["QueueUrl"]
        arn = self.clients["sqs"].get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        self.clients["sns"].subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])

    def told(self) -> list[dict[str, Any]]:
        messages = self.clients["sqs"].receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self.clients["sqs"].delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    def put(self, **inputs: object) -> None:
        """Write a document by hand; it becomes the default version."""
        content = json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs})
        try:
            self.ssm.create_document(Name=DEFAULT_NAME, Content=content, DocumentType="Session")
        except self.ssm.exceptions.DocumentAlreadyExists:
            made = self.ssm.update_document(Name=DEFAULT_NAME, Content=content, DocumentVersion="$LATEST")
            version = made["DocumentDescription"]["DocumentVersion"]
            self.ssm.update_document_default_version(Name=DEFAULT_NAME, DocumentVersion=version)

    def versions(self) -> list[str]:
        """The texts of all versions."""
        try:
            latest = self.ssm.describe_document(Name=DEFAULT_NAME)["Document"]["LatestVersion"]
        except self.ssm.exceptions.InvalidDocument:
            return []
        return [
            self.ssm.get_document(Name=DEFAULT_NAME, DocumentVersion=str(version))["Content"]
            for version in range(1, int(latest) + 1)
        ]


@pytest.fixture(scope="module")
def emulated() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as monkeypatch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_REGION", REGION)
        world = World()
        monkeypatch.setattr(handler, "boto_clients", lambda _region: world.clients.__getitem__)
        yield world


@pytest.fixture
def world(emulated: World, caplog: pytest.LogCaptureFixture) -> World:
    get_backend("ssm")[ACCOUNT][REGION].reset()
    emulated.told()
    caplog.set_level(logging.INFO, "session_preferences")
    return emulated


def event(world: World, **more: object) -> dict[str, object]:
    return {"action": "reconcile", "cause": CAUSE, "notify_topic_arn": world.topic, **more}


def apply(preferences: object = WANTED, **more: object) -> dict[str, Any]:
    return handler.lambda_handler({"preferences": preferences, "tf": {"action": "create"}, **more}, CONTEXT)


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.name == "session_preferences.handler"]


def test_a_repair_is_one_line_with_fields_and_one_message(world: World, caplog: pytest.LogCaptureFixture) -> None:
    apply()
    caplog.clear()
    world.put(idleSessionTimeout="45", color="green", shellProfile={"linux": "export TOKEN=opensesame"})

    result = handler.lambda_handler(event(world), CONTEXT)

    (line,) = logged(caplog)
    paths = [change["path"] for change in result["changes"]]
    assert paths == [
        "inputs.cloudWatchLogGroupName",
        "inputs.idleSessionTimeout",
        "inputs.shellProfile.linux",
        "inputs.color",
    ]
    assert {name: line[name] for name in ("account", "region", "event", "outcome", "paths", "cause")} == {
        "account": ACCOUNT,
        "region": REGION,
        "event": "reconcile",
        "outcome": "updated",
        "paths": paths,
        "cause": CAUSE,
    }
    assert (line["default_version"], line["latest_version"]) == ("3", "3")
    (told,) = world.told()
    assert told["Subject"] == f"Session Manager preferences updated: {ACCOUNT} {REGION}"
    for fact in (*CAUSE.values(), 'inputs.idleSessionTimeout (\\"45\\" to \\"20\\")', "inputs.shellProfile.linux"):
        assert fact in told["Message"]
    readable, _, fields = told["Message"].partition("\n\n")
    assert readable.startswith(f"{DEFAULT_NAME} in {ACCOUNT} {REGION} matches the configuration: updated.")
    assert json.loads(fields)["paths"] == paths
    secrets = ("hunter2", "opensesame", "green")
    shown = told["Message"] + json.dumps(line, default=str) + json.dumps(result)
    assert not any(secret in shown for secret in secrets)


def test_a_scheduled_run_tells_of_repairs_only(world: World) -> None:
    apply()
    world.ssm.delete_document(Name=DEFAULT_NAME)
    handler.lambda_handler(event(world, cause=None), CONTEXT)
    (told,) = world.told()
    assert "A scheduled run found it changed." in told["Message"]
    handler.lambda_handler(event(world, cause=None), CONTEXT)
    assert world.told() == []


def test_only_repairs_are_told(world: World) -> None:
    handler.lambda_handler(event(world, action="diff", preferences=WANTED), CONTEXT)
    apply(cause=CAUSE, notify_topic_arn=world.topic)
    assert world.told() == []


def test_without_a_topic_nobody_is_told(world: World) -> None:
    apply()
    world.ssm.delete_document(Name=DEFAULT_NAME)
    assert handler.lambda_handler(event(world, notify_topic_arn=None), CONTEXT)["outcome"] == "created"
    assert world.told() == []


def test_a_message_that_cannot_be_sent_fails_the_run_after_the_repair(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    apply()
    world.ssm.delete_document(Name=DEFAULT_NAME)
    caplog.clear()
    lost = event(world, notify_topic_arn=f"{world.topic}-gone")
    for outcome in ("created", "unchanged"):  # the second is Lambda's own retry
        with pytest.raises(
            NotificationError,
            match=rf"matches the configuration \({outcome}\), but the SNS notification failed: sns:Publish",
        ):
            handler.lambda_handler(lost, CONTEXT)
        assert len(world.versions()) == 1
    assert [line["event"] for line in logged(caplog)] == ["reconcile", "failed"] * 2


def test_a_message_is_small_however_much_somebody_changed(world: World) -> None:
    apply()
    world.put(**{f"unknown{number}" + "x" * 400: "y" for number in range(120)}, s3BucketName="b" * 5000)
    handler.lambda_handler(event(world), CONTEXT)
    (told,) = world.told()
    assert len(told["Message"]) < 60_000
    assert json.loads(told["Message"].partition("\n\n")[2])["changes_in_all"] > 120


def test_terraforms_calls_wait_for_permissions_that_the_role_has_just_been_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graces: list[dict[str, Budget]] = []

    def noting(_clients: object, _budget: object, given: dict[str, Budget]) -> None:
        graces.append(given)

    def nothing(*_: object) -> dict[str, object]:
        return {"document": DEFAULT_NAME, "outcome": "unchanged", "changes": []}

    monkeypatch.setattr(handler, "caller", noting)
    monkeypatch.setattr(handler, "reconcile", nothing)
    for how in ({"tf": {"action": "create"}}, {"tf": {"action": "update"}}, {"action": "reconcile"}):
        handler.lambda_handler(how, CONTEXT)
    assert [sorted(each) for each in graces] == [["", "kms"], ["", "kms"], []]


# --- no input makes it write a document that must not be written ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
TEXTS = st.sampled_from(["", "logs", "a.b", "/x", "a/../b", "root", "operator", "a; id", "true", "20", "61", "alias/x"])
NAMES = st.sampled_from(
    [
        *("s3BucketName", "s3KeyPrefix", "s3EncryptionEnabled", "cloudWatchLogGroupName"),
        *("cloudWatchEncryptionEnabled", "cloudWatchStreamingEnabled", "kmsKeyId", "runAsEnabled"),
        *("runAsDefaultUser", "idleSessionTimeout", "maxSessionDuration", "shellProfile"),
    ]
)
INPUTS = st.dictionaries(NAMES, TEXTS | st.booleans() | st.integers(0, 70) | JSON, max_size=4)
LOGGED = INPUTS.map(lambda inputs: {"cloudWatchLogGroupName": "logs", **inputs})
EVENTS = st.fixed_dictionaries(
    {"preferences": LOGGED | INPUTS | JSON},
    optional={
        "action": st.sampled_from(["reconcile"]) | JSON,
        "tf": st.sampled_from([{"action": "create"}, {"action": "update"}]) | JSON,
        "adopt": st.sampled_from(["replace", "merge", "fail"]) | JSON,
        "waive": st.lists(
            st.sampled_from(["no_log_destination", "run_as_by_tag", "preflight_permissions"]), max_size=2, unique=True
        ),
        "document": JSON,
        "cause": JSON,
    },
)


def unfit(text: str, waived: object) -> list[str]:
    """What must never be in a document, said once more and independently of the code under test."""
    waived = waived if isinstance(waived, list) else []
    content = json.loads(text)
    inputs: Mapping[str, Any] = content["inputs"]
    idle, longest = int(inputs["idleSessionTimeout"]), int(inputs["maxSessionDuration"] or 1441)
    rules = {
        "frame": (content["schemaVersion"], content["sessionType"]) == ("1.0", "Standard_Stream"),
        "parameters": set(content) == {"schemaVersion", "description", "sessionType", "inputs"},
        "idle": 1 <= idle <= 60,
        "max": idle < longest <= 1441,
        "flags": all(isinstance(value, bool) for name, value in inputs.items() if name.endswith("Enabled")),
        "user": re.fullmatch(r"([A-Za-z_][\w.-]*(\$|@[\w.-]+)?)?", inputs["runAsDefaultUser"]) is not None,
        "root": inputs["runAsDefaultUser"] != "root",
        "run as": bool(inputs["runAsDefaultUser"]) or not inputs["runAsEnabled"] or "run_as_by_tag" in waived,
        "bucket": "." not in inputs["s3BucketName"],
        "prefix": not inputs["s3KeyPrefix"].startswith("/") and ".." not in inputs["s3KeyPrefix"],
        "logs": bool(inputs["s3BucketName"] or inputs["cloudWatchLogGroupName"]) or "no_log_destination" in waived,
        "size": len(text) <= 64 * 1024,
    }
    return [name for name, kept in rules.items() if not kept]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wild=EVENTS, live=st.none() | LOGGED | INPUTS)
def test_no_event_makes_it_write_what_must_not_be_written(
    world: World, wild: dict[str, Any], live: dict[str, Any] | None
) -> None:
    get_backend("ssm")[ACCOUNT][REGION].reset()
    if live is not None:
        world.put(**live)
    before = world.versions()

    try:
        outcome = handler.lambda_handler(wild, CONTEXT)["outcome"]
    except PreferencesError:
        outcome = "refused"

    written = [text for text in world.versions() if text not in before]
    assert outcome in {"created", "updated", "promoted", "unchanged", "differs", "refused"}
    assert [problem for text in written for problem in unfit(text, wild.get("waive"))] == []
    if outcome == "refused":
        assert written == []


def test_the_judge_of_written_documents_finds_what_is_unfit(world: World) -> None:
    apply()
    (text,) = world.versions()
    assert unfit(text, []) == []
    assert unfit(text.replace('"20"', '"61"'), []) == ["idle"]
    assert unfit(text.replace('"logs"', '""'), []) == ["logs"]
    with pytest.raises(InvalidPreferencesError):
        apply({**WANTED, "idleSessionTimeout": 61})
