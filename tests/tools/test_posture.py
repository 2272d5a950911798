"""The list of what Prowler fails, and how its findings are held against it; `make posture` runs Prowler."""

from typing import Any

from tools import posture

KEY = "arn:aws:kms:eu-west-1:840281937465:key/11111111-2222-3333-4444-555555555555"
QUEUE = "arn:aws:sqs:eu-west-1:840281937465:session-manager-preferences-failures"


def finding(check: str, resource: str, status: str = "FAIL") -> dict[str, Any]:
    return {"status_code": status, "metadata": {"event_code": check}, "resources": [{"uid": resource}]}


def test_only_failures_about_resources_of_ours_count() -> None:
    keys = {KEY.rpartition("/")[2]: "alias/session-manager/data"}
    found = [
        finding("kms_cmk_rotation_enabled", KEY),
        finding("sqs_queues_not_publicly_accessible", QUEUE),
        finding("sqs_queues_not_publicly_accessible", QUEUE, "PASS"),
        finding("iam_password_policy", "arn:aws:iam::840281937465:password-policy"),
    ]

    assert list(posture.failures(found, keys)) == [
        posture.Failure("kms_cmk_rotation_enabled", "alias/session-manager/data"),
        posture.Failure("sqs_queues_not_publicly_accessible", QUEUE),
    ]


def test_what_is_not_listed_and_what_is_listed_for_nothing_is_wrong() -> None:
    failure = posture.Failure("a_check", QUEUE)
    listed = posture.Accepted("a_check", "session-manager-preferences-failures", "reason")

    assert posture.judge([failure], [listed]) == []
    assert posture.judge([failure], []) == [f"Fix it, or list it in tools/posture.yaml: a_check: {QUEUE}"]
    assert posture.judge([], [listed]) == [f"Take it out of tools/posture.yaml: a_check: {listed.resource}"]


def test_every_failure_that_stays_has_a_reason() -> None:
    for each in posture.accepted():
        assert each.check
        assert len(each.reason) > 20
        assert any(name.lower() in each.resource.lower() for name in posture.NAMES), each
