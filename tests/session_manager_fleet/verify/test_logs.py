"""Whether logs have arrived in a log group."""

import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from session_manager_fleet.verify.logs import arrived, newest_stream, streams
from session_manager_fleet.verify.model import Check
from session_manager_fleet.verify.reading import Reader

HOUR = datetime.timedelta(hours=1)


class Recorded(Reader):
    """Answers with log streams, or with an error."""

    def __init__(self, *found: dict[str, Any], error: str = "") -> None:
        self.found, self.error = found, error
        self.asked: dict[str, Any] = {}

    def call(self, service: str, region: str, method: str, **arguments: Any) -> Any:  # noqa: ANN401
        self.asked = {"service": service, "region": region, "method": method, **arguments}
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": ""}}, method)
        return {"logStreams": list(self.found)}


def stream(*, minutes: float, key: str = "lastEventTimestamp") -> dict[str, Any]:
    at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes)
    return {"logStreamName": "ops-0a1b2c3d", "creationTime": 1, key: int(at.timestamp() * 1000)}


def judged(reader: Recorded, *, instances: int = 1, max_age: datetime.timedelta | None = None) -> Check:
    return streams(reader, "eu-west-1", "session-logs", instances, max_age)


@pytest.mark.parametrize("key", ["lastEventTimestamp", "lastIngestionTime"])
def test_the_newest_stream_proves_that_logs_arrive(key: str) -> None:
    reader = Recorded(stream(minutes=5, key=key))

    check = judged(reader, max_age=HOUR)

    assert (check.verdict, check.message) == ("ok", "The newest log in session-logs is 5 minutes old.")
    assert check.newest_log
    assert check.newest_log.key == "ops-0a1b2c3d"
    assert reader.asked == {
        "service": "logs",
        "region": "eu-west-1",
        "method": "describe_log_streams",
        "logGroupName": "session-logs",
        "orderBy": "LastEventTime",
        "descending": True,
        "limit": 1,
    }


def test_a_log_that_is_too_old_is_a_finding() -> None:
    assert judged(Recorded(stream(minutes=180)), max_age=HOUR).verdict == "finding"
    assert judged(Recorded(stream(minutes=180))).verdict == "ok"


@pytest.mark.parametrize("found", [(), ({"logStreamName": "ops-0a1b2c3d", "creationTime": 1},)])
def test_without_a_log_there_is_no_proof(found: tuple[dict[str, Any], ...]) -> None:
    check = judged(Recorded(*found), instances=2)
    assert check.verdict == "finding"
    assert check.message == "No log has ever arrived in session-logs, although there are 2 managed instances."
    assert judged(Recorded(*found), instances=0).verdict == "not_needed"


def test_a_missing_log_group_is_the_finding_of_another_check() -> None:
    assert judged(Recorded(error="ResourceNotFoundException")).verdict == "not_needed"
    with pytest.raises(ClientError):
        judged(Recorded(error="AccessDeniedException"))


def test_a_new_stream_is_an_arrival_although_its_times_come_late() -> None:
    now = datetime.datetime.now(datetime.UTC)
    new = {"logStreamName": "ops-new", "creationTime": int(now.timestamp() * 1000)}
    newest = newest_stream(Recorded(stream(minutes=5), new), "eu-west-1", "session-logs")

    check = arrived(newest, now - HOUR / 60)

    assert check
    assert (check.verdict, check.message) == ("ok", "ops-new has arrived.")
    assert arrived(newest_stream(Recorded(stream(minutes=5)), "eu-west-1", "session-logs"), now) is None
    assert arrived(newest_stream(Recorded(), "eu-west-1", "session-logs"), now) is None
    gone = Recorded(error="ResourceNotFoundException")
    assert arrived(newest_stream(gone, "eu-west-1", "session-logs"), now) is None


def test_the_stream_of_a_session_is_a_check_of_its_own_beside_the_object() -> None:
    late = streams(Recorded(), "eu-west-1", "session-logs", 1, None, check="log_streams")
    old = streams(Recorded(stream(minutes=180)), "eu-west-1", "session-logs", 1, HOUR, check="log_streams")
    assert [(each.name, each.verdict) for each in (late, old)] == [("log_streams", "finding")] * 2
