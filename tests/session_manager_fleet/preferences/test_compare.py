"""Reading back: the live preferences against what was applied, and what an existing document would lose."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from session_manager_fleet.aws import new_session
from session_manager_fleet.changes.placeholders import UNKNOWN
from session_manager_fleet.errors import AccessError
from session_manager_fleet.preferences import preview
from session_manager_fleet.preferences.compare import VerificationError, document_client, verify_preferences
from session_manager_fleet.preferences.preview import (
    planned_preferences,
    preview_adoption,
    preview_destruction,
    writes_preferences,
)
from session_preferences.document import build, render

DOCUMENT = "SSM-SessionManagerRunShell"
REGION = "eu-west-1"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555"
PREFERENCES = {
    "cloudWatchLogGroupName": "ssm-sessionmanager-logs",
    "cloudWatchEncryptionEnabled": True,
    "kmsKeyId": KEY,
    "idleSessionTimeout": 20,
    "maxSessionDuration": 60,
    "s3BucketName": None,
    "shellProfile": {"linux": None, "windows": None},
}
WANTED = {"document": DOCUMENT, "preferences": PREFERENCES, "adopt": "replace", "waive": []}


@pytest.fixture
def session(
    credentials: None,  # noqa: ARG001 - they are in the environment
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[boto3.Session]:
    """A session in an emulated account; nothing waits."""
    monkeypatch.setattr("session_preferences.aws.Budget.pause", lambda *_: None)
    with mock_aws():
        yield new_session(REGION)


def write(session: boto3.Session, text: str) -> str:
    """Make the document, or a version of it that becomes the default, and return the version."""
    ssm = session.client("ssm")
    try:
        ssm.create_document(Name=DOCUMENT, Content=text, DocumentType="Session", DocumentFormat="JSON")
    except ssm.exceptions.DocumentAlreadyExists:
        answer = ssm.update_document(Name=DOCUMENT, Content=text, DocumentFormat="JSON", DocumentVersion="$LATEST")
        version = answer["DocumentDescription"]["DocumentVersion"]
        ssm.update_document_default_version(Name=DOCUMENT, DocumentVersion=version)
        return version
    return "1"


def text(**changes: object) -> str:
    return render(build({**PREFERENCES, **changes}))


# --- After an apply ------------------------------------------------------------------------------------------------


def test_what_was_applied_is_there(session: boto3.Session) -> None:
    write(session, text())

    verify_preferences(document_client(session, REGION), REGION, WANTED)


def test_the_same_meaning_in_another_form_is_there(session: boto3.Session) -> None:
    document = json.loads(text())
    document["description"] = "Made by hand"
    del document["inputs"]["s3KeyPrefix"]
    write(session, json.dumps(document))

    verify_preferences(document_client(session, REGION), REGION, WANTED)


def test_a_flag_that_only_the_agent_reads_is_reported(session: boto3.Session) -> None:
    document = json.loads(text())
    document["inputs"]["cloudWatchEncryptionEnabled"] = "true"
    write(session, json.dumps(document))

    with pytest.raises(VerificationError) as caught:
        verify_preferences(document_client(session, REGION), REGION, WANTED)

    assert caught.value.diagnostics == ('inputs.cloudWatchEncryptionEnabled ("true" to true)',)


def test_changed_contents_are_reported(session: boto3.Session) -> None:
    write(session, text(idleSessionTimeout=60, maxSessionDuration=None, shellProfile={"linux": "secret-canary"}))

    with pytest.raises(VerificationError) as caught:
        verify_preferences(document_client(session, REGION), REGION, WANTED)

    assert str(caught.value) == f"The document {DOCUMENT} in {REGION} is not what the settings want."
    assert set(caught.value.diagnostics) == {
        'inputs.idleSessionTimeout ("60" to "20")',
        'inputs.maxSessionDuration ("" to "60")',
        "inputs.shellProfile.linux",
    }


def test_a_moved_default_version_is_reported(session: boto3.Session) -> None:
    write(session, text())
    write(session, text(idleSessionTimeout=10))
    ssm = session.client("ssm")
    ssm.update_document_default_version(Name=DOCUMENT, DocumentVersion="1")
    wanted = {**WANTED, "preferences": {**PREFERENCES, "idleSessionTimeout": 10}}

    with pytest.raises(VerificationError) as caught:
        verify_preferences(document_client(session, REGION), REGION, wanted)

    assert caught.value.diagnostics == (
        'inputs.idleSessionTimeout ("20" to "10")',
        'default_version ("1" to "2")',
    )


def test_sharing_is_reported(session: boto3.Session) -> None:
    write(session, text())
    session.client("ssm").modify_document_permission(
        Name=DOCUMENT, PermissionType="Share", AccountIdsToAdd=["999999999999"]
    )

    with pytest.raises(VerificationError) as caught:
        verify_preferences(document_client(session, REGION), REGION, WANTED)

    assert caught.value.diagnostics == ('sharing (["999999999999"] to [])',)


def test_a_missing_document_is_reported(session: boto3.Session) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_preferences(document_client(session, REGION), REGION, WANTED)

    assert 'inputs.idleSessionTimeout (null to "20")' in caught.value.diagnostics


def test_an_unreadable_document_is_reported(session: boto3.Session) -> None:
    session.client("ssm").create_document(
        Name=DOCUMENT, Content="schemaVersion: '0.3'\n", DocumentType="Automation", DocumentFormat="YAML"
    )

    with pytest.raises(VerificationError, match=r"cannot be compared: .* is of type Automation, not Session"):
        verify_preferences(document_client(session, REGION), REGION, WANTED)


def test_an_answer_from_before_the_write_is_asked_again(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(session, text())
    late = {**WANTED, "preferences": {**PREFERENCES, "idleSessionTimeout": 10}}
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        write(session, text(idleSessionTimeout=10))

    monkeypatch.setattr("session_preferences.aws.Budget.pause", lambda _self, _attempt: sleep(0))
    verify_preferences(document_client(session, REGION), REGION, late)

    assert len(looks) == 1


def test_merged_preferences_keep_what_is_not_managed(session: boto3.Session) -> None:
    write(session, text(shellProfile={"linux": "exec bash"}, s3BucketName="team-logs"))

    verify_preferences(document_client(session, REGION), REGION, {**WANTED, "adopt": "merge"})
    with pytest.raises(VerificationError):
        verify_preferences(document_client(session, REGION), REGION, WANTED)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException"])
def test_a_refused_read_is_a_matter_of_access(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    client = session.client("ssm")
    monkeypatch.setattr(session, "client", lambda *_, **__: client)
    with Stubber(client) as stubber:
        stubber.add_client_error("describe_document", code, "not today")
        with pytest.raises(AccessError, match=rf"Cannot read the document {DOCUMENT} in {REGION}: .*{code}"):
            verify_preferences(document_client(session, REGION), REGION, WANTED)


def test_what_is_throttled_is_asked_again(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    write(session, text())
    asked = 0
    client = session.client("ssm")
    describe = client.describe_document

    def throttled(**arguments: str) -> object:
        nonlocal asked
        asked += 1
        if asked <= 2:
            raise client.exceptions.ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeDocument")
        return describe(**arguments)

    monkeypatch.setattr(client, "describe_document", throttled)
    monkeypatch.setattr(session, "client", lambda *_, **__: client)

    verify_preferences(document_client(session, REGION), REGION, WANTED)

    assert asked == 3


# --- Before an apply -----------------------------------------------------------------------------------------------


def plan_of(wanted: object, unknown: object = False, actions: tuple[str, ...] = ("create",)) -> dict[str, Any]:
    invocation = {"mode": "managed", "type": "aws_lambda_invocation", "change": {"actions": list(actions)}}
    return {
        "output_changes": {"preferences": {"actions": ["create"], "after": wanted, "after_unknown": unknown}},
        "resource_changes": [invocation],
    }


def test_an_existing_document_is_compared_with_what_is_planned(session: boto3.Session) -> None:
    write(session, text(s3BucketName="team-logs", kmsKeyId=None, shellProfile={"linux": "secret-canary"}))
    preferences = {name: value for name, value in PREFERENCES.items() if name != "kmsKeyId"}
    wanted = planned_preferences(
        plan_of({**WANTED, "preferences": preferences}, {"preferences": {"kmsKeyId": True, "shellProfile": {}}})
    )

    assert wanted is not None
    assert wanted["preferences"] == {**PREFERENCES, "kmsKeyId": UNKNOWN}
    preview = preview_adoption(session, REGION, wanted)
    assert {(change.path, change.before, change.after) for change in preview} == {
        ("inputs.s3BucketName", "team-logs", ""),
        ("inputs.kmsKeyId", "", UNKNOWN),
        ("inputs.shellProfile.linux", "(sensitive)", "(sensitive)"),
    }


def test_where_no_document_is_nothing_is_lost(session: boto3.Session) -> None:
    assert preview_adoption(session, REGION, WANTED) == ()


def test_an_equal_document_loses_nothing(session: boto3.Session) -> None:
    write(session, text())

    assert preview_adoption(session, REGION, WANTED) == ()


@pytest.mark.parametrize(
    "plan", [{}, plan_of(None), plan_of(WANTED, unknown=True)], ids=["no output", "not managed", "all unknown"]
)
def test_plans_that_do_not_say_what_is_wanted(plan: dict[str, Any]) -> None:
    assert planned_preferences(plan) is None


@pytest.mark.parametrize(
    ("actions", "writes"),
    [
        (("create",), True),
        (("update",), True),
        (("delete", "create"), True),
        (("delete",), False),
        (("no-op",), False),
        (("read",), False),
    ],
)
def test_whether_a_plan_writes_the_document(actions: tuple[str, ...], writes: bool) -> None:
    assert writes_preferences(plan_of(WANTED, actions=actions)) is writes


@pytest.mark.parametrize("on_destroy", ["restore", "reset", "retain"])
def test_a_destruction_reports_what_becomes_of_the_document(on_destroy: str) -> None:
    plan = plan_of(None, actions=("delete",))
    shown = json.dumps({**WANTED, "on_destroy": on_destroy})
    plan["resource_changes"][0]["change"]["before"] = {"input": shown}

    (preview,) = preview_destruction(plan)

    assert (preview.path, preview.before) == (DOCUMENT, "managed")
    assert f"on_destroy = {on_destroy}" in str(preview.after)
    assert preview_destruction(plan_of(WANTED)) == ()


def test_a_question_to_the_function_writes_nothing() -> None:
    plan = plan_of(WANTED)
    plan["resource_changes"][0]["mode"] = "data"

    assert not writes_preferences(plan)
    assert not writes_preferences({})


def test_the_root_module_has_the_output_that_is_read() -> None:
    outputs = (Path(__file__).resolve().parents[3] / "outputs.tf").read_text()

    assert f'output "{preview.PREFERENCES_OUTPUT}"' in outputs
