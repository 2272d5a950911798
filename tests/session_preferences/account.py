"""An emulated account and region, in which the tests run the function's state machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from moto.backends import get_backend

from session_preferences.aws import Budget, Call, caller
from session_preferences.document import DEFAULT_NAME
from session_preferences.errors import AwsError
from session_preferences.original_document import PARAMETER
from session_preferences.reconcile import reconcile
from session_preferences.request import parse_event

REGION = "eu-west-1"
LOG_GROUP = "ssm-sessionmanager-logs"
# No test reads them, and they take a sixth of the time of a call.
_UNADORNED = Config(signature_version=UNSIGNED, user_agent="tests")

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# What to answer to an operation in AWS's place; each gets the real `Call` and the arguments.
Answers = Mapping[str, Callable[..., dict[str, Any]]]


class Clients:
    """boto3 clients, each made once."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:  # noqa: ANN401 - four kinds of client
        if service not in self._made:
            self._made[service] = boto3.client(service, region_name=REGION, config=_UNADORNED)  # type: ignore[call-overload]
        return self._made[service]


@dataclass
class Watch:
    """A `Call` that notes every operation and can fail one of them, before or after AWS carried it out."""

    inner: Call
    operations: list[str] = field(default_factory=list)
    fail_at: int | None = None
    code: str = "AccessDeniedException"
    after: bool = False
    answers: Answers = field(default_factory=dict)

    def __call__(self, service: str, operation: str, **arguments: object) -> dict[str, Any]:
        self.operations.append(operation)
        failing = len(self.operations) - 1 == self.fail_at
        if failing and not self.after:
            raise AwsError(self.code, f"{operation} failed with {self.code}")
        answer = self.answers.get(operation)
        try:
            return answer(self.inner, **arguments) if answer else self.inner(service, operation, **arguments)
        finally:
            if failing:
                raise AwsError(self.code, f"{operation} failed with {self.code}")


@dataclass(frozen=True)
class Result:
    """The function's result, by its contract."""

    document: str
    outcome: str
    default_version: str | None
    latest_version: str | None
    changes: list[dict[str, object]]


@dataclass
class Account:
    """One emulated account and region, with a log group, a bucket and a key that preflight accepts."""

    clients: Clients
    key_arn: str

    @property
    def ssm(self) -> SSMClient:
        client: SSMClient = self.clients("ssm")
        return client

    @property
    def preferences(self) -> dict[str, object]:
        return {
            "cloudWatchLogGroupName": LOG_GROUP,
            "cloudWatchEncryptionEnabled": True,
            "cloudWatchStreamingEnabled": False,
            "kmsKeyId": self.key_arn,
            "idleSessionTimeout": 20,
            "maxSessionDuration": "60",
        }

    def event(self, action: str = "create", **changes: object) -> dict[str, object]:
        if action == "reconcile":  # what is wanted is read where the last apply stored it
            return {"action": action, **changes}
        how = {"action": action} if action == "diff" else {"tf": {"action": action, "prev_input": None}}
        return {"preferences": self.preferences, **how, **changes}

    def repair(self, **more: object) -> Result:
        return self.run(self.event("reconcile", **more))

    def watch(self, answers: Answers | None = None) -> Watch:
        return Watch(caller(self.clients, self.budget()), answers=answers or {})

    @staticmethod
    def budget() -> Budget:
        return Budget(300, sleep=lambda _seconds: None)

    def run(self, event: Mapping[str, object], call: Call | None = None) -> Result:
        return Result(**reconcile(parse_event(event), call or self.watch(), self.budget(), REGION))

    def put(self, content: Mapping[str, object] | str, document_format: Literal["JSON", "YAML"] = "JSON") -> str:
        """Write a document by hand, as somebody else would; the default stays where it is."""
        text = content if isinstance(content, str) else json.dumps(content)
        try:
            self.ssm.create_document(
                Name=DEFAULT_NAME, Content=text, DocumentType="Session", DocumentFormat=document_format
            )
        except self.ssm.exceptions.DocumentAlreadyExists:
            self.ssm.update_document(
                Name=DEFAULT_NAME, Content=text, DocumentFormat=document_format, DocumentVersion="$LATEST"
            )
        return text

    @staticmethod
    def clear(service: Literal["ssm", "logs", "s3"] = "ssm") -> None:
        """Take away everything of one service."""
        for backend in get_backend(service).values():
            backend.reset()

    def text(self) -> str | None:
        """The text of the default version; None when there is no document."""
        try:
            return str(self.ssm.get_document(Name=DEFAULT_NAME)["Content"])
        except self.ssm.exceptions.InvalidDocument:
            return None

    def inputs(self) -> dict[str, Any]:
        inputs: dict[str, Any] = json.loads(self.text() or "{}")["inputs"]
        return inputs

    def versions(self) -> tuple[str, str]:
        document = self.ssm.describe_document(Name=DEFAULT_NAME)["Document"]
        return document["DefaultVersion"], document["LatestVersion"]


def changed(result: Result) -> dict[str, tuple[object, object]]:
    assert all(list(change) == ["path", "from", "to"] for change in result.changes)
    return {str(change["path"]): (change["from"], change["to"]) for change in result.changes}


def content_of(**inputs: object) -> dict[str, object]:
    inputs = {"cloudWatchLogGroupName": LOG_GROUP, **inputs}
    return {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}


def record(account: Account) -> str | None:
    try:
        return account.ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    except account.ssm.exceptions.ParameterNotFound:
        return None


def after(event: dict[str, object], before: dict[str, object]) -> dict[str, object]:
    """An update of Terraform's, from one event's input to that of another."""
    return {**event, "tf": {"action": "update", "prev_input": before}}
