"""The stand-in for the SSM agent, by the calls of the agent itself: amazon-ssm-agent, agent/s3util/s3util.go."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from session_manager_fleet.demo.agent import upload_log

BUCKET, KEY = "session-logs", "sessionmanager/111122223333/eu-west-1/ops-0a1b2c3d.log"
KMS_KEY = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
Calls = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """The calls of S3 so far."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    made: Calls = []
    with mock_aws():
        location: Any = {"LocationConstraint": "eu-central-1"}
        s3 = boto3.client("s3", region_name="eu-central-1")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        yield made


def session(calls: Calls, denied: str = "") -> boto3.Session:
    """A session of an instance whose calls are recorded; one operation may be denied."""
    made = boto3.Session(region_name="eu-west-1")

    def record(params: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's model
        calls.append((model.name, {name: value for name, value in params.items() if name not in {"Bucket", "Body"}}))

    made.events.register("provide-client-params.s3", record)
    if denied:
        client = made.client

        def stubbed(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - boto3 clients are made at run time
            built: Any = client(*arguments, **options)
            original = getattr(built, denied)

            def refuse(**parameters: object) -> Any:  # noqa: ANN401
                with Stubber(built) as stub:
                    stub.add_client_error(denied, "AccessDenied")
                    return original(**parameters)

            setattr(built, denied, refuse)
            return built

        made.client = stubbed  # type: ignore[method-assign]
    return made


def encrypt(**default: str) -> None:
    rules: Any = [{"ApplyServerSideEncryptionByDefault": default}]
    boto3.client("s3", region_name="eu-central-1").put_bucket_encryption(
        Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": rules}
    )


def named_encryption(parameters: dict[str, Any]) -> dict[str, str]:
    return {name: parameters[name] for name in ("ServerSideEncryption", "SSEKMSKeyId") if name in parameters}


@pytest.mark.parametrize(
    ("default", "sent"),
    [
        (
            {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KMS_KEY},
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KMS_KEY},
        ),
        ({"SSEAlgorithm": "AES256"}, {"ServerSideEncryption": "AES256"}),
        ({"SSEAlgorithm": "AES256", "KMSMasterKeyID": KMS_KEY}, {"ServerSideEncryption": "AES256"}),
        ({"SSEAlgorithm": "aws:kms:dsse", "KMSMasterKeyID": KMS_KEY}, {}),
    ],
)
def test_it_sends_the_default_encryption_that_it_knows(
    calls: Calls, default: dict[str, str], sent: dict[str, str]
) -> None:
    encrypt(**default)

    upload_log(session(calls), BUCKET, KEY, "log")

    assert [name for name, _ in calls] == ["HeadBucket", "GetBucketEncryption", "PutObject"]
    parameters = calls[-1][1]
    assert named_encryption(parameters) == sent
    assert (parameters["ACL"], parameters["ContentType"]) == ("bucket-owner-full-control", "text/plain")


@pytest.mark.parametrize("denied", ["", "get_bucket_encryption", "head_bucket"])
def test_it_uploads_without_encryption_that_it_cannot_read(calls: Calls, denied: str) -> None:
    if denied:
        encrypt(SSEAlgorithm="aws:kms", KMSMasterKeyID=KMS_KEY)

    upload_log(session(calls, denied), BUCKET, KEY, "log")

    assert calls[-1][0] == "PutObject"
    assert bool(named_encryption(calls[-1][1])) == (denied == "head_bucket")


def test_a_long_log_goes_in_parts_of_which_the_first_call_names_encryption_and_acl(calls: Calls) -> None:
    encrypt(SSEAlgorithm="aws:kms", KMSMasterKeyID=KMS_KEY)

    upload_log(session(calls), BUCKET, KEY, "x" * (5 * 1024 * 1024 + 1))

    made = calls[2:]
    assert [name for name, _ in made] == [
        "CreateMultipartUpload",
        "UploadPart",
        "UploadPart",
        "CompleteMultipartUpload",
    ]
    assert [bool(named_encryption(parameters)) or "ACL" in parameters for _, parameters in made] == [
        True,
        False,
        False,
        False,
    ]
