"""docs/migration, executed: from what others left to the module, without a moment of weaker preferences.

The HCL of the pages runs as it stands, but for names of examples. All scenarios run at once, in accounts of their own.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aws_sandbox import Sandbox, default_organization
from tests.modules.test_preferences_lifecycle import DOCUMENT, Place, environment_of

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform

REPOSITORY = Path(__file__).parents[2]
PAGES = REPOSITORY / "docs" / "migration"
STATES = sorted((Path(__file__).parent / "states").glob("*.json"))
assert STATES, "tests/modules/states holds the states of earlier releases"
HOME, REGION = "eu-west-1", "us-east-1"  # the scenarios are where no account of the organization has a document
PROVIDER = f'provider "aws" {{\n  region = "{REGION}"\n}}\n\n'


def hcl_of(page: str) -> str:
    """The HCL blocks of a page, with the module of this checkout."""
    text = (PAGES / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```hcl\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    code = "\n".join(re.sub(rf"^{margin}", "", block, flags=re.MULTILINE) for margin, block in blocks)
    return re.sub(r'"git::https://[^"]*//modules/preferences\?ref=v[\d.]+"', '"./modules/preferences"', code)


def text_of(**inputs: object) -> str:
    """A document as others write it."""
    return json.dumps(
        {
            "schemaVersion": "1.0",
            "description": "Document to hold regional settings for Session Manager",
            "sessionType": "Standard_Stream",
            "inputs": inputs,
        }
    )


def is_strong(content: str) -> bool:
    """Whether sessions are logged to an encrypted log group and encrypted with a key."""
    inputs = json.loads(content)["inputs"]
    encrypted = str(inputs.get("cloudWatchEncryptionEnabled")).lower() == "true"
    return bool(encrypted and inputs.get("cloudWatchLogGroupName") and inputs.get("kmsKeyId"))


@contextmanager
def never_weaker(place: Place) -> Iterator[None]:
    """Watch the document that sessions follow; afterwards, see that no version ever written was weaker either."""
    seen, stop = [], threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            seen.append(place.text())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        stop.set()
        watching.join()
    assert seen
    assert all(text is not None and is_strong(text) for text in seen)
    versions = place.ssm.list_document_versions(Name=DOCUMENT)["DocumentVersions"]
    contents = [
        place.ssm.get_document(Name=DOCUMENT, DocumentVersion=version["DocumentVersion"])["Content"]
        for version in versions
    ]
    # The first version is still there: the document was not deleted and created again.
    assert {"1"} < {version["DocumentVersion"] for version in versions}
    assert all(map(is_strong, contents))


def key(place: Place, alias: str) -> tuple[str, str]:
    """A key with an alias, that CloudWatch Logs may use: id and ARN."""
    kms = place.session.client("kms")
    account = place.session.client("sts").get_caller_identity()["Account"]
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{REGION}.amazonaws.com"},
            "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            "Resource": "*",
        },
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    made = kms.create_key(Policy=policy, KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]
    kms.create_alias(AliasName=alias, TargetKeyId=made["KeyId"])
    return made["KeyId"], made["Arn"]


def write(place: Place, code: str) -> None:
    (place.terraform.folder / "main.tf").write_text(PROVIDER + code, encoding="utf-8")


def from_cloudformation(place: Place) -> None:
    """What the stack leaves with DeletionPolicy: Retain is imported; nothing of it is made again."""
    logs_key, logs_arn = key(place, "alias/session-manager/logs")
    data_key, data_arn = key(place, "alias/session-manager/data")
    logs = place.session.client("logs")
    logs.create_log_group(logGroupName="ssm-sessionmanager-logs", kmsKeyId=logs_arn)
    logs.put_retention_policy(logGroupName="ssm-sessionmanager-logs", retentionInDays=90)
    place.ssm.put_parameter(Name="/session-manager/session-data-key", Value=data_key, Type="String")
    place.put(
        text_of(
            s3BucketName="",
            s3KeyPrefix="",
            s3EncryptionEnabled=True,
            cloudWatchLogGroupName="ssm-sessionmanager-logs",
            cloudWatchEncryptionEnabled=True,
            cloudWatchStreamingEnabled=False,
            kmsKeyId=data_arn,
            runAsEnabled=False,
            runAsDefaultUser="",
            idleSessionTimeout="20",
            maxSessionDuration="60",
            shellProfile={"windows": "", "linux": ""},
        )
    )
    write(place, hcl_of("cloudformation.md").replace("LOGS_KEY_ID", logs_key).replace("DATA_KEY_ID", data_key))
    place.terraform.init()
    with never_weaker(place):
        plan = place.terraform.succeed("plan")
        assert re.findall(r".*forces replacement.*", plan) == []
        applied = place.terraform.apply()
        # Something to do for the function, so that a version is written while it is watched.
        code = hcl_of("cloudformation.md").replace('"\n}\n', '"\n\n  idle_session_timeout = 15\n}\n', 1)
        write(place, code.replace("LOGS_KEY_ID", logs_key).replace("DATA_KEY_ID", data_key))
        place.terraform.apply()
    assert "6 imported" in applied
    assert " 0 destroyed" in applied
    assert place.inputs()["kmsKeyId"] == data_arn
    (group,) = logs.describe_log_groups(logGroupNamePrefix="ssm-sessionmanager-logs")["logGroups"]
    assert (group["kmsKeyId"], group["retentionInDays"]) == (logs_arn, 90)
    place.terraform.destroy()


OTHERS = """
resource "aws_kms_key" "sessions" {
  description = "Sessions"
  policy      = file("key_policy.json")
}

resource "aws_cloudwatch_log_group" "session_logs" {
  name       = "/ssm/session-logs"
  kms_key_id = aws_kms_key.sessions.arn
}
"""
OTHERS_DOCUMENT = """
resource "aws_ssm_document" "session_manager_prefs" {
  name            = "SSM-SessionManagerRunShell"
  document_type   = "Session"
  document_format = "JSON"

  content = jsonencode({
    schemaVersion = "1.0"
    description   = "Document to hold regional settings for Session Manager"
    sessionType   = "Standard_Stream"
    inputs = {
      cloudWatchLogGroupName      = aws_cloudwatch_log_group.session_logs.name
      cloudWatchEncryptionEnabled = true
      kmsKeyId                    = aws_kms_key.sessions.arn
    }
  })
}
"""


def from_another_configuration(place: Place) -> None:
    """The document leaves the state by a `removed` block and stays in the account; keys and log group stay in both."""
    account = place.session.client("sts").get_caller_identity()["Account"]
    made, _ = key(place, "alias/for-its-policy")
    policy = place.session.client("kms").get_key_policy(KeyId=made, PolicyName="default")["Policy"]
    (place.terraform.folder / "key_policy.json").write_text(policy, encoding="utf-8")
    write(place, OTHERS + OTHERS_DOCUMENT)
    place.terraform.init()
    place.terraform.apply()
    assert account in str(place.inputs()["kmsKeyId"])

    write(place, OTHERS + hcl_of("terraform.md"))
    place.terraform.init()
    with never_weaker(place):
        plan = place.terraform.succeed("plan")
        applied = place.terraform.apply()
    assert "will no longer be managed by Terraform" in plan
    assert " 0 destroyed" in applied
    assert place.inputs()["cloudWatchLogGroupName"] == "/ssm/session-logs"
    assert place.inputs()["idleSessionTimeout"] == "20"
    place.terraform.destroy()


def from_the_accelerator(place: Place) -> None:
    """Both overlap: what the accelerator still writes is no default version, and its end deletes nothing."""
    logs = place.session.client("logs")
    _, logs_arn = key(place, "alias/accelerator/kms/cloudwatch/key")
    _, session_arn = key(place, "alias/accelerator/sessionmanager-logs/session")
    logs.create_log_group(logGroupName="aws-accelerator-sessionmanager-logs", kmsKeyId=logs_arn)
    theirs = text_of(
        cloudWatchEncryptionEnabled=True,
        cloudWatchLogGroupName="aws-accelerator-sessionmanager-logs",
        kmsKeyId=session_arn,
        s3BucketName="",
        s3EncryptionEnabled=True,
        s3KeyPrefix="",
        runAsEnabled=False,
        runAsDefaultUser="",
    )
    place.put(theirs)
    code = hcl_of("lza.md").replace("LOGS_KEY_ARN", logs_arn).replace("SESSION_KEY_ARN", session_arn)
    write(place, code)
    place.terraform.init()
    with never_weaker(place):
        place.terraform.apply()
        ours = place.inputs()
        # The pipeline runs once more, with another prefix: as the accelerator's function writes it.
        again = theirs.replace('"s3KeyPrefix": ""', '"s3KeyPrefix": "session"')
        place.ssm.update_document(Name=DOCUMENT, Content=again, DocumentVersion="$LATEST")
        assert place.inputs() == ours
    assert (ours["idleSessionTimeout"], ours["maxSessionDuration"]) == ("20", "60")
    assert logs.describe_log_groups(logGroupNamePrefix="aws-accelerator")["logGroups"]
    place.terraform.destroy()
    assert logs.describe_log_groups(logGroupNamePrefix="aws-accelerator")["logGroups"]


def from_the_console(place: Place) -> None:
    """What a person set stays where the configuration says nothing, and the destroy restores the rest."""
    _, logs_arn = key(place, "alias/console/logs")
    _, session_arn = key(place, "alias/console/sessions")
    place.session.client("logs").create_log_group(logGroupName="console-logs", kmsKeyId=logs_arn)
    theirs = text_of(
        s3BucketName="",
        s3KeyPrefix="",
        s3EncryptionEnabled=True,
        cloudWatchLogGroupName="console-logs",
        cloudWatchEncryptionEnabled=True,
        cloudWatchStreamingEnabled=True,
        kmsKeyId=session_arn,
        runAsEnabled=True,
        runAsDefaultUser="ops",
        idleSessionTimeout="45",
        maxSessionDuration="",
        shellProfile={"windows": "", "linux": "cd /tmp"},
    )
    place.put(theirs)
    write(place, hcl_of("console.md"))
    place.terraform.init()
    with never_weaker(place):
        place.terraform.apply()
    ours = place.inputs()
    assert (ours["runAsEnabled"], ours["runAsDefaultUser"]) == (True, "ops")
    assert ours["shellProfile"] == {"windows": "", "linux": "cd /tmp"}
    assert (ours["idleSessionTimeout"], ours["maxSessionDuration"]) == ("20", "60")
    assert ours["cloudWatchLogGroupName"] == "ssm-sessionmanager-logs"
    place.terraform.destroy()
    assert place.inputs() == json.loads(theirs)["inputs"]


SCENARIOS: dict[str, Callable[[Place], None]] = {
    "cloudformation.md": from_cloudformation,
    "console.md": from_the_console,
    "terraform.md": from_another_configuration,
    "lza.md": from_the_accelerator,
}


@pytest.fixture(scope="module")
def running(
    in_account: Callable[[str], Terraform], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """All scenarios, under way in accounts of their own, in an organization that no other test has changed."""

    def prepared(name: str, account: str) -> Place:
        there, folder = in_account(account), tmp_path_factory.mktemp(name.partition(".")[0])
        (folder / "modules").symlink_to(there.folder / "modules")
        session = own.session(account, REGION)
        environment = {**there.environment, **environment_of(own, session)}
        return Place(session, own, replace(there, folder=folder, environment=environment))

    with Sandbox.start(default_organization(), tmp_path_factory.mktemp("migrations")) as own:
        accounts = iter([account.id for account in own.organization.members])
        places = {name: prepared(name, next(accounts)) for name in SCENARIOS}
        with ThreadPoolExecutor() as pool:
            yield {name: pool.submit(SCENARIOS[name], place) for name, place in places.items()}


@pytest.mark.slow
@pytest.mark.parametrize("page", SCENARIOS)
def test_the_page_is_executed(running: dict[str, Future[None]], page: str) -> None:
    running[page].result()


@pytest.mark.parametrize("state", STATES, ids=lambda path: path.name)
def test_a_state_of_an_earlier_release_keeps_its_logs_and_keys(
    sandbox: Sandbox, in_account: Callable[[str], Terraform], tmp_path: Path, state: Path
) -> None:
    """The root planned against a state that an earlier release left: nothing is destroyed, replaced or forgotten."""
    account = sandbox.organization.members[0].id
    kept = json.loads(state.read_text(encoding="utf-8"))
    assert account in json.dumps(kept), "the state is one of another emulated organization: make it again"
    there = in_account(account)
    folder = tmp_path / "root"
    folder.mkdir()
    for file in there.folder.glob("*.tf"):
        shutil.copy(file, folder)
    (folder / "modules").symlink_to(there.folder / "modules")
    versions = (folder / "versions.tf").read_text(encoding="utf-8")
    (folder / "versions.tf").write_text(versions.replace('backend "s3" {}', ""), encoding="utf-8")
    workspace = folder / "terraform.tfstate.d" / account
    workspace.mkdir(parents=True)
    shutil.copy(state, workspace / "terraform.tfstate")
    root = replace(there, folder=folder)
    root.init()
    variables: dict[str, Any] = {"account_id": account, "region": HOME, "home_region": HOME}
    root = root.in_workspace(account)
    file = folder / "target.tfvars.json"
    file.write_text(json.dumps(variables), encoding="utf-8")
    root.succeed("plan", "-refresh=false", "-out=plan", f"-var-file={file}")
    plan = json.loads(root.succeed("show", "-json", "plan"))
    changes = {change["address"]: change["change"]["actions"] for change in plan["resource_changes"]}
    taken = {address: actions for address, actions in changes.items() if {"delete", "forget"} & set(actions)}
    assert taken == {}
    before = {
        f"{resource.get('module', '')}.{resource['type']}.{resource['name']}"
        for resource in kept["resources"]
        if resource["mode"] == "managed"
    }
    now = {re.sub(r"\[[^\]]*\]", "", address) for address in changes}
    assert {re.sub(r"\[[^\]]*\]", "", address).lstrip(".") for address in before} <= now
