"""The live preferences of targets, as the demo reads them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.demo.live_state import live_preferences
from session_manager_fleet.demo.preferences import LivePreferences
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import Target

HOME, OTHER = "eu-west-1", "us-east-1"
PAYMENTS = Account("111122223333", "Payments")


@pytest.mark.usefixtures("credentials")
@mock_aws
def test_live_preferences_or_why_they_cannot_be_read(
    write: Callable[[str, str], Path], settings_file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("accounts.yaml", "accounts: [{id: 111122223333, name: Payments}]\n")
    inventory = Inventory.load(settings_file(""))
    inputs = {
        "cloudWatchLogGroupName": "sessions",
        "cloudWatchEncryptionEnabled": True,
        "kmsKeyId": "alias/a",
        "idleSessionTimeout": "15",
        "maxSessionDuration": "",
        "s3BucketName": "logs",
        "s3EncryptionEnabled": False,
    }
    member = inventory.session(PAYMENTS, HOME)
    member.client("ssm").create_document(
        Name="SSM-SessionManagerRunShell",
        DocumentType="Session",
        DocumentFormat="JSON",
        Content=json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}),
    )
    targets = [Target(PAYMENTS, HOME, HOME), Target(PAYMENTS, OTHER, HOME)]

    (_, live), (_, missing) = live_preferences(inventory, targets)

    assert isinstance(live, LivePreferences)
    assert (live.default_version, live.latest_version) == ("1", "1")
    assert live.logging == "CloudWatch sessions, S3 logs"
    assert live.encryption == "session data, CloudWatch"
    assert live.timeouts == "idle 15, max none"
    assert missing == "there is no preferences document"

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    [(_, refused)] = live_preferences(inventory, targets[:1])
    assert isinstance(refused, str)
    assert refused.startswith("Cannot assume arn:aws:iam::111122223333:role/AWSControlTowerExecution")
