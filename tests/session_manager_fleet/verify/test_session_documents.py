"""Session documents beside the preferences: where each logs, and what goes around the logging of the organization."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from session_manager_fleet.accounts.model import MANAGEMENT, Account
from session_manager_fleet.settings import Guardrails, TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.verify.model import Check
from session_manager_fleet.verify.reading import Reader
from session_manager_fleet.verify.session_documents import SessionDocument, judge_document, session_documents
from session_manager_fleet.verify.sessions import Kind

ACCOUNT, OTHER, REGION = "111122223333", "444455556666", "eu-west-1"
BUCKET, GROUP = "session-logs", "ssm-sessionmanager-logs"
PREFIX = f"sessionmanager/{ACCOUNT}/{REGION}"
SETTINGS = TargetSettings.model_validate({"preferences": {"s3": {"enabled": True, "bucket_name": BUCKET}}})
LOGGED = {"s3BucketName": BUCKET, "s3KeyPrefix": PREFIX, "cloudWatchLogGroupName": GROUP}
ROOT = {"attach_to": ["r-ab12"]}


def content(kind: str = "Standard_Stream", **more: object) -> dict[str, Any]:
    return {"schemaVersion": "1.0", "sessionType": kind, **more}


SSH = content("Port", properties={"portNumber": "22"})
PORT = content("Port", properties={"portNumber": "{{ portNumber }}", "type": "LocalPortForwarding"})


class SharedAccount(Reader):
    """An account with Session documents of its own, and with some that another account shares."""

    def __init__(self, own: Mapping[str, Any], shared: Mapping[str, Any] | None = None) -> None:
        self.own, self.shared, self.shares = dict(own), dict(shared or {}), {"Shared-Out": [OTHER]}

    def pages(self, service: str, region: str, method: str, key: str, **arguments: Any) -> Any:  # noqa: ANN401
        assert (service, region, method, key) == ("ssm", REGION, "list_documents", "DocumentIdentifiers")
        kind, owner = arguments["Filters"]
        assert kind == {"Key": "DocumentType", "Values": ["Session"]}
        if owner["Values"] == ["Self"]:
            return iter([{"Name": name, "Owner": ACCOUNT} for name in self.own])
        assert owner["Values"] == ["Private"]
        return iter([{"Name": name, "Owner": OTHER} for name in self.shared])

    def call(self, service: str, region: str, method: str, **arguments: Any) -> Any:  # noqa: ANN401
        assert (service, region) == ("ssm", REGION)
        if method == "describe_document_permission":
            return {"AccountIds": self.shares.get(arguments["Name"], [])}
        assert method == "get_document"
        return {"Content": json.dumps({**self.own, **self.shared}[arguments["Name"]])}


def judged(account: SharedAccount, guardrails: Mapping[str, Any] | None = None, role: str = "") -> Check:
    section = Guardrails.model_validate(guardrails) if guardrails is not None else None
    return session_documents(account, Target(Account(ACCOUNT, "member", role=role), REGION, REGION), SETTINGS, section)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SSH, "is for SSH"),
        (content("Port"), "is for SSH"),
        (PORT, "forwards a port"),
        (content("NonInteractiveCommands"), "logs nowhere"),
        (content(), "logs nowhere"),
    ],
)
def test_port_and_ssh_documents_are_told_apart(text: dict[str, Any], problem: str) -> None:
    assert f"Team {problem}" in judged(SharedAccount({"Team": text})).message


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        (LOGGED, ""),
        ({**LOGGED, "s3KeyPrefix": f"{PREFIX}/team/"}, ""),
        ({**LOGGED, "s3KeyPrefix": f"{PREFIX}-other"}, f"not to {BUCKET}/{PREFIX}"),
        ({**LOGGED, "s3BucketName": "elsewhere"}, f"logs to elsewhere/{PREFIX} and {GROUP}, not to {BUCKET}/{PREFIX}"),
        ({**LOGGED, "s3BucketName": ""}, f"logs to {GROUP}, not to {BUCKET}/{PREFIX}"),
        ({**LOGGED, "cloudWatchLogGroupName": ""}, f"not to {GROUP}"),
        ({}, f"logs nowhere, not to {BUCKET}/{PREFIX} and {GROUP}"),
        ({**LOGGED, "s3BucketName": "{{ bucket }}"}, "lets the user who starts a session choose where it is logged"),
    ],
)
def test_where_a_document_logs(inputs: dict[str, str], problem: str) -> None:
    found = judge_document(
        SessionDocument("Team", ACCOUNT, Kind.SHELL, inputs),
        {"s3BucketName": BUCKET, "s3KeyPrefix": PREFIX, "cloudWatchLogGroupName": GROUP},
    )
    assert found.endswith(problem) if problem else found == ""


def test_what_goes_around_the_logging_is_named_with_its_cure() -> None:
    account = SharedAccount(
        {
            "SSM-SessionManagerRunShell": content(inputs={}),  # the check of the preferences judges it
            "Team-Shell": content(inputs=LOGGED),
            "Shared-Out": content("InteractiveCommands"),
            "Tunnel": PORT,
        },
        {f"arn:aws:ssm:{REGION}:{OTHER}:document/Theirs": SSH},
    )

    check = judged(account)

    assert check.verdict == "finding"
    assert "RunShell" not in check.message
    assert "Team-Shell" not in check.message
    assert "Tunnel forwards a port, and nothing that goes through is logged" in check.message
    assert f"Theirs of {OTHER} is for SSH and other protocols" in check.message
    unshare = f"aws ssm modify-document-permission --region {REGION} --name {{}} --permission-type Share"
    delete = f"aws ssm delete-document --region {REGION} --name {{}}"
    unshared = f"{unshare.format('Shared-Out')} --account-ids-to-remove {OTHER}"
    theirs = f"{unshare.format('Theirs')} --account-ids-to-remove {ACCOUNT}"
    assert check.fix.splitlines() == [
        f"Let Shared-Out log there, or delete it: {unshared} && {delete.format('Shared-Out')}",
        f"Let Tunnel log there, or delete it: {delete.format('Tunnel')}",
        f"Let Theirs of {OTHER} log there, or let its owner share it no more, in account {OTHER}: {theirs}",
    ]


def test_good_documents_are_listed_with_their_destinations() -> None:
    check = judged(SharedAccount({"Team-Shell": content(inputs=LOGGED)}))

    assert check.verdict == "ok"
    assert check.message.startswith(f"Team-Shell logs to {BUCKET}/{PREFIX} and {GROUP}.")
    assert "AWS-StartSSHSession and AWS-StartPortForwardingSession* log nothing" in check.message
    assert judged(SharedAccount({}), ROOT).message == "No other Session document can be used."


@pytest.mark.parametrize(
    ("guardrails", "role", "verdict"),
    [
        (ROOT, "", "ok"),
        ({"attach_to": [ACCOUNT]}, "", "ok"),
        # It binds no management account, and whether it binds a unit's account is not known.
        (ROOT, MANAGEMENT, "finding"),
        ({"attach_to": ["ou-ab12-12345678"]}, "", "finding"),
        ({**ROOT, "deny": {"other_documents": False}}, "", "finding"),
        ({**ROOT, "other_session_documents": ["Tunnel"]}, "", "finding"),
        ({**ROOT, "logged_session_documents": ["Tunnel"]}, "", "finding"),
    ],
)
def test_the_guardrails_deny_documents_that_they_do_not_name(
    guardrails: dict[str, Any], role: str, verdict: str
) -> None:
    check = judged(SharedAccount({"Tunnel": PORT}), guardrails, role)

    assert check.verdict == verdict
    if verdict == "ok":
        assert check.message.endswith("The guardrails deny sessions with Tunnel.")


def test_settings_that_log_nowhere_have_nothing_to_go_around() -> None:
    nowhere = {"cloudwatch": {"create_log_group": False, "log_group_name": ""}, "waive": ["no_log_destination"]}
    values = TargetSettings.model_validate({"preferences": nowhere})
    target = Target(Account(ACCOUNT, "member"), REGION, REGION)
    assert session_documents(SharedAccount({}), target, values).verdict == "not_needed"
