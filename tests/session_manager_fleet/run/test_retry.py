"""Retries: transient failures in the words of terraform, the provider and the network, and the wait."""

import pytest

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.run.results import Failure, Status, Step, TargetResult
from session_manager_fleet.run.retry import ATTEMPTS, backoff_seconds, is_transient, named, wait_seconds
from session_manager_fleet.targets.model import Target

TARGET = Target(Account("111122223333", "Payments"), "eu-west-1", "eu-west-1")


def failed(*diagnostics: str, message: str = "terraform plan failed.") -> TargetResult:
    return TargetResult.build(TARGET, Status.FAILED, Step.PLAN, failure=Failure("terraform", message, diagnostics))


@pytest.mark.parametrize(
    "diagnostic",
    [
        "reading KMS Key: operation error KMS: DescribeKey, StatusCode: 400, ThrottlingException: Rate exceeded",
        "operation error SSM: GetParameter, exceeded maximum number of attempts, 10, TooManyRequestsException",
        "operation error EC2: DescribeVpcs, api error RequestLimitExceeded: Request limit exceeded.",
        "operation error S3: ListObjectsV2, https response error StatusCode: 503, api error SlowDown: Please reduce",
        "operation error STS: AssumeRole, https response error StatusCode: 500, InternalFailure",
        'Post "https://kms.eu-west-1.amazonaws.com/": read tcp 10.0.0.1:42: read: connection reset by peer',
        'Get "https://s3.eu-west-1.amazonaws.com/": dial tcp: lookup s3.eu-west-1.amazonaws.com: i/o timeout',
        'Post "https://sts.eu-west-1.amazonaws.com/": net/http: TLS handshake timeout',
    ],
)
def test_transient_failures(diagnostic: str) -> None:
    assert is_transient(failed(diagnostic))


@pytest.mark.parametrize(
    "diagnostic",
    [
        "operation error IAM: CreatePolicy, api error AccessDenied: not authorized to perform: iam:CreatePolicy",
        "operation error IAM: CreatePolicy, https response error StatusCode: 409, EntityAlreadyExists",
        "operation error Lambda: CreateFunction, LimitExceededException: Code storage limit exceeded.",
        "operation error KMS: CreateKey, StatusCode: 400, MalformedPolicyDocumentException",
        "Cannot assume IAM Role: operation error STS: AssumeRole, ExpiredToken: The security token is expired",
        "Error acquiring the state lock: operation error S3: PutObject, StatusCode: 412, PreconditionFailed",
        "Failed to save state: operation error S3: PutObject, StatusCode: 503, SlowDown: Please reduce",
        "Failed to persist state to backend: connection reset by peer. Terraform has written errored.tfstate",
        "terraform was ended by signal 9; the kernel does so when memory runs out.",
    ],
)
def test_failures_that_are_not_retried(diagnostic: str) -> None:
    assert not is_transient(failed(diagnostic))


def test_only_failures_are_transient() -> None:
    assert not is_transient(TargetResult.build(TARGET, Status.NO_CHANGES, Step.PLAN))
    assert not is_transient(TargetResult.build(TARGET, Status.NOT_STARTED, Step.PLAN, reason="Throttling"))


def test_the_wait_is_random_below_a_limit_that_doubles() -> None:
    for attempt, limit in zip(range(2, ATTEMPTS + 1), (2, 4, 8), strict=True):
        waits = [backoff_seconds(attempt) for _ in range(300)]
        assert 0 <= min(waits) < 0.2 * limit
        assert 0.8 * limit < max(waits) <= limit
    assert max(backoff_seconds(50) for _ in range(300)) <= 60


@pytest.mark.parametrize(
    "diagnostic",
    [
        "operation error KMS: CreateKey, StatusCode: 400, SubscriptionRequiredException: The AWS Access Key Id needs",
        "operation error EC2: DescribeVpcs, api error OptInRequired: You are not subscribed to this service.",
        "Cannot assume IAM Role: operation error STS: AssumeRole, RegionDisabledException: STS is not activated",
    ],
)
def test_an_account_that_is_not_ready_is_tried_for_minutes_and_then_named(diagnostic: str) -> None:
    result = failed(diagnostic)

    assert is_transient(result)
    assert sum(wait_seconds(result, attempt) for attempt in range(2, ATTEMPTS + 1)) >= 300
    failure = named(result).failure
    assert failure
    assert failure.message.startswith("terraform plan failed. The account is not ready yet: ")
    assert "`resume` the run later." in failure.message
    assert named(failed("AccessDenied")) == failed("AccessDenied")
