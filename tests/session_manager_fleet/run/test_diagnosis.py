"""Why an account refused terraform."""

import pytest

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.run.diagnosis import is_refusal, why_refused
from session_manager_fleet.targets.model import Target

INVALID = "api error InvalidClientTokenId: The security token included in the request is invalid."
ASSUMING = f"Cannot assume IAM Role: operation error STS: AssumeRole, https response error StatusCode: 403, {INVALID}"
DENIED = (
    "operation error KMS: CreateKey, AccessDeniedException: User: arn:aws:sts::1:assumed-role/a/b is not authorized to "
    "perform: kms:CreateKey with an explicit deny in a service control policy"
)


@pytest.mark.parametrize(
    ("region", "home", "diagnostic", "said"),
    [
        ("eu-west-1", "eu-west-1", ASSUMING, "The role in the account could not be assumed."),
        ("ap-south-2", "eu-west-1", ASSUMING, "The role in the account could not be assumed."),
        ("me-central-1", "me-central-1", ASSUMING, "either the region is not enabled in the caller's account, or"),
        (
            "ap-south-2",
            "eu-west-1",
            f"operation error SSM: GetParameter, {INVALID}",
            "ap-south-2 is not enabled in acc",
        ),
        ("ap-south-2", "eu-west-1", "EC2: DescribeVpcs, AuthFailure: AWS was not able", "is not enabled in account 1"),
        ("eu-west-1", "eu-west-1", "UnrecognizedClientException: The token", "could not be assumed"),
        ("eu-west-1", "eu-west-1", DENIED, "A service control policy denies this in eu-west-1"),
        ("eu-west-1", "eu-west-1", "RegionDisabledException: STS is not activated", "has deactivated STS in eu-west-1"),
        ("eu-west-1", "eu-west-1", "api error ExpiredToken: The token is expired", "credentials have expired"),
    ],
)
def test_why(region: str, home: str, diagnostic: str, said: str) -> None:
    assert is_refusal([diagnostic])
    assert said in why_refused(Target(Account("111122223333", "Payments"), region, home), [diagnostic])


def test_an_error_of_terraform_is_no_refusal() -> None:
    assert not is_refusal(["Error: creating KMS Key: LimitExceededException"])
