"""The suite of the Lambda function runs against the package that AWS runs, not against the sources."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

import session_preferences
from tests import any_machine
from tests.session_preferences.account import LOG_GROUP, Account, Clients
from tools import lambda_package

# pyproject.toml puts the package first on the path; only `make coverage` and `make mutation` measure the sources.
if not os.environ.get("MEASURE_FUNCTION_SOURCES"):
    assert Path(session_preferences.__file__).is_relative_to(lambda_package.PACKAGE), session_preferences.__file__
    assert lambda_package.is_current(), "modules/preferences/lambda.zip is stale: run python scripts/package_lambda.py"

any_machine.load()


@pytest.fixture(scope="module")
def emulated() -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as monkeypatch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        clients = Clients()
        yield Account(clients, clients("kms").create_key()["KeyMetadata"]["Arn"])  # the one slow call, so made once


@pytest.fixture
def account(emulated: Account) -> Account:
    emulated.clear("ssm")
    emulated.clear("logs")
    emulated.clear("s3")
    emulated.clients("logs").create_log_group(logGroupName=LOG_GROUP, kmsKeyId=emulated.key_arn)
    return emulated


@pytest.fixture
def foreign() -> dict[str, object]:
    """A document that somebody made by hand: other values, missing keys, a string boolean, an unknown key."""
    return {
        "schemaVersion": "1.0",
        "description": "Team preferences",
        "sessionType": "Standard_Stream",
        "inputs": {
            "cloudWatchLogGroupName": "team-logs",
            "cloudWatchEncryptionEnabled": "false",
            "idleSessionTimeout": "45",
            "runAsEnabled": True,
            "runAsDefaultUser": "ops",
            "shellProfile": {"linux": "export TOKEN=hunter2"},
            "color": "green",
        },
    }
