"""Whether a session was logged, judged from what was read."""

import datetime
import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from session_manager_fleet.targets import Reader
from session_manager_fleet.verify.sessions.documents import Document, Place, of_content
from session_manager_fleet.verify.sessions.history import Started, of_event, read_history
from session_manager_fleet.verify.sessions.judge import Node, Trace, judge
from session_manager_fleet.verify.sessions.model import Cause, Kind, LogState

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
SESSION = Started("jane-0a1b2c3d", "i-1", "arn:jane", "SSM-SessionManagerRunShell", NOW - 2 * HOUR, NOW - HOUR)
BUCKET, GROUP = Place(bucket="logs", prefix="p/111122223333/eu-west-1"), Place(group="sessions")
SHELL = Document(Kind.SHELL, (BUCKET, GROUP))
NOTHING = (Trace(BUCKET), Trace(GROUP))


@pytest.mark.parametrize(
    ("session", "document", "traces", "node", "expected"),
    [
        (SESSION, SHELL, (Trace(BUCKET), Trace(GROUP, ("sessions:jane",))), Node(), (LogState.LOGGED, None)),
        (SESSION, SHELL, (Trace(BUCKET, problem="Denied."),), Node(), (LogState.NOT_CHECKED, None)),
        (SESSION, SHELL, (Trace(BUCKET, ("s3://l",)), Trace(GROUP, problem="No.")), Node(), (LogState.LOGGED, None)),
        (replace(SESSION, failed=True), SHELL, NOTHING, Node(), (LogState.NOT_STARTED, None)),
        (replace(SESSION, ended_at=None, active=True), SHELL, NOTHING, Node(), (LogState.NOT_YET, None)),
        # CloudTrail alone does not tell the end; the longest session has 24 hours.
        (replace(SESSION, ended_at=None), SHELL, NOTHING, Node(), (LogState.NOT_YET, None)),
        (
            replace(SESSION, ended_at=None, started_at=NOW - 30 * HOUR),
            SHELL,
            NOTHING,
            Node(managed=False),
            (LogState.NOT_LOGGED, Cause.NODE_GONE),
        ),
        (replace(SESSION, ended_at=NOW), SHELL, NOTHING, Node(), (LogState.NOT_YET, None)),
        (replace(SESSION, active=True), Document(Kind.PORT), (), Node(), (LogState.NOT_LOGGED, Cause.DOCUMENT)),
        (SESSION, Document(Kind.SSH), (), Node(), (LogState.NOT_LOGGED, Cause.DOCUMENT)),
        (SESSION, Document(Kind.SHELL), (), Node(), (LogState.NOT_LOGGED, Cause.NO_DESTINATION)),
        (
            replace(SESSION, document="Mine"),
            Document(Kind.SHELL),
            (),
            Node(),
            (LogState.NOT_LOGGED, Cause.DOCUMENT),
        ),
        (SESSION, Document(Kind.UNKNOWN, exists=False), (), Node(), (LogState.NOT_LOGGED, Cause.DOCUMENT)),
        (
            SESSION,
            SHELL,
            (Trace(BUCKET, missing=True), Trace(GROUP, missing=True)),
            Node(),
            (LogState.NOT_LOGGED, Cause.NO_DESTINATION),
        ),
        (
            SESSION,
            SHELL,
            NOTHING,
            Node(role_without_policy="web"),
            (LogState.NOT_LOGGED, Cause.NO_PERMISSION),
        ),
        (SESSION, SHELL, NOTHING, Node(), (LogState.NOT_LOGGED, Cause.NO_SCRIPT)),
        (SESSION, SHELL, NOTHING, Node(windows=True), (LogState.NOT_LOGGED, Cause.UNKNOWN)),
        (
            replace(SESSION, ended_at=NOW),
            SHELL,
            (Trace(BUCKET, failure="s3://logs/p/jane/stderr"), Trace(GROUP)),
            Node(),
            (LogState.NOT_LOGGED, Cause.NO_SCRIPT),
        ),
    ],
)
def test_the_state_of_a_log(
    session: Started, document: Document, traces: tuple[Trace, ...], node: Node, expected: tuple[LogState, Cause | None]
) -> None:
    found = judge(session, document, traces, node, NOW)

    assert (found.state, found.cause) == expected
    assert found.evidence.endswith(".")
    assert bool(found.fix) == (found.state in {LogState.NOT_LOGGED, LogState.NOT_CHECKED})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"sessionType": "Port", "properties": {"type": "LocalPortForwarding", "portNumber": "80"}}, Kind.PORT),
        ({"sessionType": "Port", "properties": {"portNumber": "22"}}, Kind.SSH),
        ({"sessionType": "InteractiveCommands"}, Kind.COMMAND),
        ({"sessionType": "Standard_Stream", "inputs": {"cloudWatchLogGroupName": ""}}, Kind.SHELL),
        ({}, Kind.UNKNOWN),
    ],
)
def test_the_kind_of_a_document(content: dict[str, Any], expected: Kind) -> None:
    assert of_content(content) == Document(expected)


def test_the_destinations_of_a_document() -> None:
    inputs = {"s3BucketName": "logs", "s3KeyPrefix": "/p/", "cloudWatchLogGroupName": "g"}
    assert of_content({"sessionType": "Standard_Stream", "inputs": inputs}).places == (
        Place(bucket="logs", prefix="p"),
        Place(group="g"),
    )


def event(**details: object) -> dict[str, Any]:
    return {
        "eventSource": "ssm.amazonaws.com",
        "eventTime": "2026-11-26T10:00:00Z",
        "userIdentity": {"arn": "arn:jane"},
        "sourceIPAddress": "192.0.2.7",
        "requestParameters": {"target": "i-1"},
        "responseElements": {"sessionId": "jane-0a1b2c3d"},
        **details,
    }


def test_events_that_are_no_session() -> None:
    assert of_event(event(responseElements=None, errorCode="AccessDenied")) is None
    assert of_event(event(eventSource="athena.amazonaws.com")) is None


class Recorded(Reader):
    """Answers with sessions and events, or denies one service."""

    def __init__(self, denied: str = "") -> None:
        self.denied = denied

    def pages(self, service: str, region: str, method: str, key: str, **arguments: Any) -> Any:  # noqa: ANN401, ARG002
        if service == self.denied:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, method)
        if service == "cloudtrail":
            return iter([{"CloudTrailEvent": json.dumps(event())}])
        session = {"SessionId": "jane-0a1b2c3d", "Target": "i-1", "Owner": "arn:jane", "StartDate": NOW - 2 * HOUR}
        return iter([] if arguments["State"] == "Active" else [{**session, "Status": "Terminated", "EndDate": NOW}])


@pytest.mark.parametrize(
    ("denied", "ended", "address", "problems"),
    [("", NOW, "192.0.2.7", 0), ("ssm", None, "192.0.2.7", 1), ("cloudtrail", NOW, "", 1)],
)
def test_each_source_completes_the_other(
    denied: str, ended: datetime.datetime | None, address: str, problems: int
) -> None:
    found = read_history(Recorded(denied), "eu-west-1", NOW - 3 * HOUR)

    (session,) = found.sessions.values()
    assert (session.ended_at, session.source_address, session.user) == (ended, address, "arn:jane")
    assert len(found.problems) == problems
    assert all(denied in problem for problem in found.problems)
