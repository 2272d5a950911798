"""Calls: throttling is waited out in the budget, everything else raises with AWS's code and what to do."""

import os
from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from session_preferences.aws import Budget, Call, boto_clients, caller
from session_preferences.errors import AwsError, OutOfTimeError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stub() -> Iterator[Stubber]:
    client = boto3.client("ssm", region_name="eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    with Stubber(client) as stub:
        yield stub


def call_over(stub: Stubber, clock: Clock, seconds: float = 240, grace: float | None = None) -> Call:
    budget = Budget(seconds, clock, clock.sleep)
    return caller(lambda _service: stub.client, budget, {"": Budget(grace, clock, clock.sleep)} if grace else {})


def test_what_is_denied_is_asked_again_while_the_grace_lasts(stub: Stubber, clock: Clock) -> None:
    for code in ("AccessDeniedException", "AccessDenied"):
        stub.add_client_error("delete_parameter", code)
    stub.add_response("delete_parameter", {}, {"Name": "x"})
    call_over(stub, clock, grace=30)("ssm", "DeleteParameter", Name="x")
    assert len(clock.pauses) == 2


def test_permissions_may_take_two_minutes_to_arrive(stub: Stubber, clock: Clock) -> None:
    for _ in range(14):
        stub.add_client_error("delete_parameter", "AccessDeniedException")
    stub.add_response("delete_parameter", {}, {"Name": "x"})
    call_over(stub, clock, grace=120)("ssm", "DeleteParameter", Name="x")
    assert 40 < sum(clock.pauses) <= 120


def test_kms_gets_the_five_minutes_in_which_it_follows_an_alias(stub: Stubber, clock: Clock) -> None:
    graces = {"": Budget(1, clock, clock.sleep), "kms": Budget(300, clock, clock.sleep)}
    call = caller(lambda _service: stub.client, Budget(410, clock, clock.sleep), graces)
    for _ in range(31):
        stub.add_client_error("delete_parameter", "AccessDeniedException")
    stub.add_response("delete_parameter", {}, {"Name": "x"})
    call("kms", "DeleteParameter", Name="x")
    assert 120 < sum(clock.pauses) <= 300


def test_what_stays_denied_raises_after_the_grace(stub: Stubber, clock: Clock) -> None:
    for _ in range(7):
        stub.add_client_error("delete_parameter", "AccessDeniedException", "No")
    with pytest.raises(AwsError, match="Allow it in the function's role"):
        call_over(stub, clock, grace=5)("ssm", "DeleteParameter", Name="x")
    assert 1 < sum(clock.pauses) <= 5


def test_throttling_is_waited_out_longer_each_time(stub: Stubber, clock: Clock) -> None:
    for code in ("ThrottlingException", "TooManyUpdates", "InternalServerError"):
        stub.add_client_error("delete_parameter", code)
    stub.add_response("delete_parameter", {}, {"Name": "x"})
    call_over(stub, clock)("ssm", "DeleteParameter", Name="x")
    assert [low <= pause <= 2 * low for low, pause in zip((0.25, 0.5, 1), clock.pauses, strict=True)] == [True] * 3


def test_throttling_that_does_not_end_raises_with_its_code(stub: Stubber, clock: Clock) -> None:
    for _ in range(7):
        stub.add_client_error("delete_parameter", "ThrottlingException", "Rate exceeded")
    with pytest.raises(AwsError, match="AWS kept refusing; run it again later") as failure:
        call_over(stub, clock)("ssm", "DeleteParameter", Name="x")
    assert failure.value.code == "ThrottlingException"
    stub.assert_no_pending_responses()


def test_throttling_at_the_end_of_the_budget_raises_with_its_code(stub: Stubber, clock: Clock) -> None:
    for _ in range(3):
        stub.add_client_error("delete_parameter", "ThrottlingException")
    with pytest.raises(AwsError) as failure:
        call_over(stub, clock, seconds=1)("ssm", "DeleteParameter", Name="x")
    assert failure.value.code == "ThrottlingException"
    assert clock.now <= 1


def test_a_refused_call_is_not_repeated_and_says_what_to_do(stub: Stubber, clock: Clock) -> None:
    stub.add_client_error("get_document", "AccessDeniedException", "User is not authorized.")
    with pytest.raises(AwsError) as failure:
        call_over(stub, clock)("ssm", "GetDocument", Name="SSM-SessionManagerRunShell")
    assert str(failure.value) == (
        "ssm:GetDocument SSM-SessionManagerRunShell failed with AccessDeniedException: User is not authorized. "
        "Allow it in the function's role, or find the policy that denies it."
    )
    assert clock.pauses == []


def test_a_call_that_never_reaches_aws_is_an_aws_error_too(clock: Clock) -> None:
    client = boto3.client(
        "ssm",
        region_name="eu-west-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(AwsError) as failure:
        caller(lambda _service: client, Budget(10, clock, clock.sleep))("ssm", "DeleteParameter", Name="x")
    assert failure.value.code == "EndpointConnectionError"


def test_a_client_that_cannot_be_made_is_an_aws_error_too(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(AwsError, match="NoRegionError"):
        caller(boto_clients(None), Budget(10, clock, clock.sleep))("ssm", "DeleteParameter", Name="x")


def test_a_defect_is_not_disguised_as_an_aws_error(clock: Clock) -> None:
    with pytest.raises(ZeroDivisionError):
        caller(lambda _service: 1 / 0, Budget(10, clock, clock.sleep))("ssm", "DeleteParameter", Name="x")


def test_a_pause_that_does_not_fit_is_not_begun(clock: Clock) -> None:
    with pytest.raises(OutOfTimeError, match="Run it again"):
        Budget(0.1, clock, clock.sleep).pause(3)
    assert clock.pauses == []
