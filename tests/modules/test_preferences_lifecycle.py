"""The preferences module through its whole life, in accounts of the emulated organization.

Each scenario has an account and region of its own and asserts what it sees; several run at once, because most of their
time is spent waiting for AWS.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import pytest

from aws_sandbox import Sandbox, default_organization

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform

DOCUMENT = "SSM-SessionManagerRunShell"
AT_ONCE = 4
T = TypeVar("T")
PATIENCE = 120.0  # seconds in which what has been started must have come to its end

FOREIGN = json.dumps(
    {
        "schemaVersion": "1.0",
        "description": "Team preferences",
        "sessionType": "Standard_Stream",
        "inputs": {
            "cloudWatchLogGroupName": "",
            "idleSessionTimeout": "45",
            "runAsEnabled": True,
            "runAsDefaultUser": "ops",
            "shellProfile": {"linux": "export TEAM=web", "windows": ""},
        },
    }
)


@dataclass(frozen=True)
class Place:
    """One account and region, and a folder in which terraform works on it."""

    session: boto3.Session
    sandbox: Sandbox
    terraform: Terraform

    @property
    def ssm(self) -> Any:  # noqa: ANN401 - what the stubs call the client says nothing here
        return self.session.client("ssm")

    def public_sharing(self) -> str:
        """Whether documents may be shared with everybody, as AWS says it."""
        setting = self.ssm.get_service_setting(SettingId="/ssm/documents/console/public-sharing-permission")
        return str(setting["ServiceSetting"]["SettingValue"])

    def write(self, arguments: str) -> None:
        """Make the folder a call of the module with these arguments."""
        (self.terraform.folder / "main.tf").write_text(
            f'provider "aws" {{\n  region = "{self.session.region_name}"\n}}\n'
            f'module "preferences" {{\n  source = "./modules/preferences"\n{arguments}\n}}\n'
            'output "outcome" {\n  value = module.preferences.document.outcome\n}\n',
            encoding="utf-8",
        )

    def apply(self, arguments: str | None = None, **variables: str) -> None:
        """Apply, and see that a second plan finds nothing to do."""
        if arguments is not None:
            self.write(arguments)
        self.terraform.succeed("apply", "-auto-approve", "-input=false", **variables)
        self.terraform.succeed("plan", "-detailed-exitcode", "-input=false", **variables)

    def destroy(self, **variables: str) -> None:
        self.terraform.succeed("destroy", "-auto-approve", "-input=false", **variables)

    def planned(self, arguments: str) -> dict[str, str]:
        """What a plan of the module with these arguments does, by resource."""
        self.write(arguments)
        lines = map(json.loads, self.terraform.succeed("plan", "-input=false", "-refresh=false", "-json").splitlines())
        planned = [line["change"] for line in lines if line["type"] == "planned_change"]
        return {
            f"{change['resource']['resource_type']}.{change['resource']['resource_name']}": change["action"]
            for change in planned
            if change["action"] != "read"
        }

    def put(self, text: str) -> None:
        """Write a version and make it the default one, as somebody else would."""
        try:
            self.ssm.create_document(Name=DOCUMENT, Content=text, DocumentType="Session")
        except self.ssm.exceptions.DocumentAlreadyExists:
            made = self.ssm.update_document(Name=DOCUMENT, Content=text, DocumentVersion="$LATEST")
            version = made["DocumentDescription"]["DocumentVersion"]
            self.ssm.update_document_default_version(Name=DOCUMENT, DocumentVersion=version)

    def text(self) -> str | None:
        """The text of the default version; None without a document."""
        try:
            return str(self.ssm.get_document(Name=DOCUMENT, DocumentVersion="$DEFAULT")["Content"])
        except self.ssm.exceptions.InvalidDocument:
            return None

    def inputs(self) -> dict[str, Any]:
        inputs: dict[str, Any] = json.loads(self.text() or "{}").get("inputs", {})
        return inputs


def eventually(look: Callable[[], T], what: str) -> T:
    """Wait until there is something to see; other scenarios keep the emulator from being idle as a whole."""
    end = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < end, f"not so within {PATIENCE:.0f} s: {what}"
        time.sleep(0.3)
    return seen


Scenario = Callable[[Place], None]

NO_REPAIR = "drift_repair = { enabled = false }\n"
SESSION_KEY = ("aws_kms_key.session_data", "aws_kms_alias.session_data", "aws_ssm_parameter.session_key")
LOGS_KEY = ("aws_kms_key.logs", "aws_kms_alias.logs")
LOG_GROUP = ("aws_cloudwatch_log_group.sessions",)
GROUPS = ("aws_cloudwatch_log_group.function", *LOG_GROUP)
DOCUMENT_AND_ROLE = ("aws_lambda_invocation.this", "aws_iam_role_policy.function")


def each(action: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, action)


def a_new_account(place: Place) -> None:
    """One changed preference is one changed path; each switch off touches its resources only; nothing is left."""
    place.apply(NO_REPAIR)
    before = place.inputs()
    place.apply(f"{NO_REPAIR}idle_session_timeout = 10")
    after = place.inputs()
    assert {name for name in before if before[name] != after[name]} == {"idleSessionTimeout"}
    assert before.keys() == after.keys()

    base = f"{NO_REPAIR}idle_session_timeout = 10\n"
    assert place.planned(f"{base}session_key = {{ enabled = false }}") == (
        each("delete", *SESSION_KEY) | each("update", *DOCUMENT_AND_ROLE)
    )
    assert place.planned(f"{base}cloudwatch = {{ create_log_group = false }}") == (
        each("delete", *LOG_GROUP, *LOGS_KEY)
        | each("update", "aws_cloudwatch_log_group.function", "aws_iam_role_policy.function")
    )
    assert place.planned(f"{base}cloudwatch = {{ encryption_enabled = false }}") == (
        each("delete", *LOGS_KEY) | each("update", *GROUPS, *DOCUMENT_AND_ROLE)
    )
    assert place.planned(f'{base}s3 = {{ enabled = true, bucket_name = "logs" }}') == each("update", *DOCUMENT_AND_ROLE)

    place.write(
        f'{base}session_key = {{ kms_key_arn = "arn:aws:kms:{place.session.region_name}:111122223333:key/mine" }}\n'
        'shell_profile = { linux = format("%030000d", 0), windows = format("%030001d", 0) }'
    )
    said = " ".join(place.terraform.refusals())
    assert "The session_key.kms_key_arn must be the ARN of a key" in said
    assert "The shell_profile must have at most 60000 bytes" in said

    for encrypted in (False, True):
        place.apply(f"{base}cloudwatch = {{ encryption_enabled = {str(encrypted).lower()} }}")
        assert place.inputs()["cloudWatchEncryptionEnabled"] is encrypted
        groups = place.session.client("logs").describe_log_groups()["logGroups"]
        assert {"kmsKeyId" in group for group in groups} == {encrypted}

    place.write(base)
    place.destroy()
    assert place.text() is None


def an_account_without_anything(place: Place) -> None:
    """Waivers reach the function, each switch on makes its resources only, and `reset` leaves neutral preferences."""
    place.put(FOREIGN)
    off = f"{NO_REPAIR}session_key = {{ enabled = false }}\n" + 'on_destroy = "reset"\n'
    nowhere = 'cloudwatch = { create_log_group = false, log_group_name = "", encryption_enabled = false }\n'
    base = f'{off}{nowhere}run_as = {{ enabled = true }}\nwaive = ["no_log_destination", "run_as_by_tag"]\n'
    place.apply(base)
    assert place.inputs()["runAsEnabled"] is True
    assert (place.inputs()["runAsDefaultUser"], place.inputs()["cloudWatchLogGroupName"]) == ("", "")

    session_key = base.replace("enabled = false }\non_destroy", "enabled = true }\non_destroy")
    assert session_key != base
    assert place.planned(session_key) == each("create", *SESSION_KEY) | each("update", *DOCUMENT_AND_ROLE)
    plain = base.replace(nowhere, "cloudwatch = { encryption_enabled = false }\n")
    assert place.planned(plain) == each("create", *LOG_GROUP) | each("update", *DOCUMENT_AND_ROLE)
    assert place.planned(base.replace(nowhere, "")) == (
        each("create", *LOG_GROUP, *LOGS_KEY) | each("update", "aws_cloudwatch_log_group.function", *DOCUMENT_AND_ROLE)
    )
    assert place.planned(f'{base}s3 = {{ enabled = true, bucket_name = "logs" }}') == each("update", *DOCUMENT_AND_ROLE)

    place.write(base)
    place.destroy()
    neutral = place.inputs()
    assert (neutral["runAsEnabled"], neutral["idleSessionTimeout"], neutral["kmsKeyId"]) == (False, "20", "")
    place.ssm.delete_document(Name=DOCUMENT)


def a_document_of_somebody_else(place: Place) -> None:
    """`fail` tells and touches nothing, `replace` takes over, `retain` leaves what is managed."""
    place.put(FOREIGN)
    place.write(f'{NO_REPAIR}adopt = "fail"')
    (said,) = place.terraform.refusals("apply", "-auto-approve")
    assert "adopt is fail, so nothing was touched" in said
    assert "inputs.idleSessionTimeout" in said
    assert "TEAM=web" not in said
    assert place.text() == FOREIGN

    place.apply(f'{NO_REPAIR}adopt = "replace"\non_destroy = "retain"')
    managed = place.inputs()
    assert (managed["idleSessionTimeout"], managed["runAsEnabled"]) == ("20", False)
    states = [*place.terraform.folder.rglob("*.tfstate*")]
    assert states
    assert not [state for state in states if "TEAM=web" in state.read_text(encoding="utf-8")]
    place.write(f"{NO_REPAIR}idle_session_timeout = 10")
    assert "TEAM=web" not in place.terraform.succeed("plan", "-input=false", "-refresh=false")
    place.write(f'{NO_REPAIR}adopt = "replace"\non_destroy = "retain"')
    place.destroy()
    assert place.inputs() == managed
    place.ssm.delete_document(Name=DOCUMENT)


def a_document_that_logs_elsewhere(place: Place) -> None:
    """Merging may check what it keeps: a bucket and a key of the team's, which also come back when ours is released."""
    name = f"team-logs-{place.session.client('sts').get_caller_identity()['Account']}"
    s3: Any = place.session.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": str(place.session.region_name)})
    key = place.session.client("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    theirs = json.loads(FOREIGN)
    theirs["inputs"] |= {"s3BucketName": name, "s3EncryptionEnabled": True, "kmsKeyId": key}
    place.put(json.dumps(theirs))

    place.apply(f'{NO_REPAIR}adopt = "merge"')
    ours = place.inputs()
    assert (ours["s3BucketName"], ours["s3EncryptionEnabled"]) == (name, True)
    assert ours["kmsKeyId"] != key
    place.apply(f'{NO_REPAIR}adopt = "merge"\nsession_key = {{ enabled = false }}')
    assert place.inputs() == {**ours, "kmsKeyId": key}
    place.destroy()
    assert place.text() == json.dumps(theirs)
    place.ssm.delete_document(Name=DOCUMENT)
    s3.delete_bucket(Bucket=name)


def example_preferences_adopted(place: Place) -> None:
    """Merging keeps what is not managed, and destroying gives back exactly what was there."""
    place.put(FOREIGN)
    place.apply()
    live = place.inputs()
    assert (live["runAsEnabled"], live["runAsDefaultUser"]) == (True, "ops")
    assert live["shellProfile"]["linux"] == "export TEAM=web"
    assert (live["idleSessionTimeout"], live["cloudWatchLogGroupName"]) == ("15", "ssm-sessionmanager-logs")
    place.destroy()
    assert place.text() == FOREIGN
    place.ssm.delete_document(Name=DOCUMENT)


def example_preferences(place: Place) -> None:
    """A new account with streamed logs that stay for a year; what is tampered with heals."""
    place.apply()
    live = place.inputs()
    assert live["cloudWatchEncryptionEnabled"] is True
    assert live["cloudWatchStreamingEnabled"] is True
    assert (live["idleSessionTimeout"], live["maxSessionDuration"]) == ("10", "30")
    (group,) = place.session.client("logs").describe_log_groups(logGroupNamePrefix="ssm-sessionmanager-logs")[
        "logGroups"
    ]
    assert group["retentionInDays"] == 365
    assert group["kmsKeyId"]
    tamper_and_heal(place, live)
    place.destroy()
    assert place.text() is None


def tamper_and_heal(place: Place, wanted: dict[str, Any]) -> None:
    """A document that is changed, moved back, shared or deleted by hand, or while nobody listens, becomes as it was."""

    def healed() -> bool:
        try:
            document = place.ssm.describe_document(Name=DOCUMENT)["Document"]
        except place.ssm.exceptions.InvalidDocument:
            return False
        shared = place.ssm.describe_document_permission(Name=DOCUMENT, PermissionType="Share")["AccountIds"]
        return document["DefaultVersion"] == document["LatestVersion"] and not shared and place.inputs() == wanted

    assert healed()
    place.put(FOREIGN)
    eventually(healed, "the document is changed back")
    place.ssm.update_document_default_version(Name=DOCUMENT, DocumentVersion="1")
    place.ssm.modify_document_permission(Name=DOCUMENT, PermissionType="Share", AccountIdsToAdd=["all"])
    eventually(healed, "it is the default version again and private")
    place.ssm.delete_document(Name=DOCUMENT)
    eventually(healed, "it exists again")

    events = place.session.client("events")
    events.disable_rule(Name="session-manager-preferences-api-calls")
    place.put(FOREIGN)
    account = place.session.client("sts").get_caller_identity()["Account"]
    assert place.sandbox.fire_schedules(account, str(place.session.region_name)) == 1
    eventually(healed, "the schedule repairs it")
    events.enable_rule(Name="session-manager-preferences-api-calls")


def example_complete(place: Place) -> None:
    """Repairs are told, failed ones are kept, and a plan shows drift as a warning."""
    sns: Any = place.session.client("sns")
    sqs: Any = place.session.client("sqs")
    s3: Any = place.session.client("s3")
    account = place.session.client("sts").get_caller_identity()["Account"]
    bucket = f"session-logs-{account}"
    s3.create_bucket(
        Bucket=bucket,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    topic = sns.create_topic(Name="repairs")["TopicArn"]
    told = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=told, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    organization = place.sandbox.organization.id
    variables = {
        "region": str(place.session.region_name),
        "bucket_name": bucket,
        "notify_topic_arn": topic,
        "organization_id": organization,
    }

    place.apply(**variables)
    live = place.inputs()
    assert place.public_sharing() == "Disable"
    assert (live["s3BucketName"], live["s3KeyPrefix"]) == (
        bucket,
        f"sessions/{account}/{place.session.region_name}",
    )
    policy = json.loads(
        place.session.client("kms").get_key_policy(KeyId=live["kmsKeyId"], PolicyName="default")["Policy"]
    )
    statements = {statement["Sid"]: statement for statement in policy["Statement"]}
    shared, looked_at = statements["SessionsOfTheOrganization"], statements["LookAtTheSessionKey"]
    assert set(shared["Action"]) == {"kms:GenerateDataKey", "kms:Decrypt"}
    assert shared["Condition"] == {
        "StringEquals": {"aws:PrincipalOrgID": organization},
        "StringNotEquals": {"aws:PrincipalAccount": account},
        "Null": {"kms:EncryptionContext:aws:ssm:TargetId": "false"},
    }
    assert looked_at["Action"] == "kms:DescribeKey"
    assert looked_at["Condition"] == {
        "StringEquals": {"aws:PrincipalOrgID": organization},
        "StringNotEquals": {"aws:PrincipalAccount": account},
    }

    def messages(url: str) -> list[Any]:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in got]

    place.ssm.delete_document(Name=DOCUMENT)
    reports = eventually(lambda: messages(told), "the repair is told")
    assert reports[0]["Subject"].startswith("Session Manager preferences created: ")
    assert "DeleteDocument" in reports[0]["Message"]
    assert f"arn:aws:sts::{account}:assumed-role/AWSControlTowerExecution/" in reports[0]["Message"]
    assert place.inputs() == live

    # The topic is gone: the repair is made, and the failure kept.
    sns.delete_topic(TopicArn=topic)
    failures = sqs.get_queue_url(QueueName="session-manager-preferences-failures")["QueueUrl"]
    place.ssm.delete_document(Name=DOCUMENT)
    kept = eventually(lambda: messages(failures), "the failure is kept")
    assert place.inputs() == live
    assert kept[0]["responsePayload"]["errorType"] == "NotificationError"
    assert kept[0]["requestPayload"]["cause"]["event_name"] == "DeleteDocument"
    # Neither the topic nor the queue of failures is as private as the document.
    profiles = ("umask 077", "Set-StrictMode")
    assert [text for text in profiles if text in json.dumps(live)] == [*profiles]
    assert not [text for text in profiles if text in json.dumps([reports, kept])]

    place.session.client("events").disable_rule(Name="session-manager-preferences-api-calls")
    place.ssm.delete_document(Name=DOCUMENT)
    warned = " ".join(place.terraform.succeed("plan", "-refresh=false", **variables).split())
    assert "Warning: Check block assertion failed" in warned
    assert f"The document {DOCUMENT} differs from the configuration:" in warned

    place.destroy(**variables)
    # As it was: what Terraform did not make is not destroyed either, see tests/e2e/test_existing.py.
    assert place.public_sharing() == "Enable"
    assert place.inputs()["cloudWatchLogGroupName"] == ""
    place.ssm.delete_document(Name=DOCUMENT)
    sqs.delete_queue(QueueUrl=told)
    s3.delete_bucket(Bucket=bucket)


def example_single_account(place: Place) -> None:
    """All components together."""
    place.apply()
    live = place.inputs()
    assert (live["idleSessionTimeout"], live["maxSessionDuration"]) == ("20", "60")
    key = place.session.client("kms").describe_key(KeyId=live["kmsKeyId"])["KeyMetadata"]
    assert place.session.client("kms").get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is True
    assert place.ssm.get_parameter(Name="/session-manager/session-data-key")["Parameter"]["Value"] == key["KeyId"]
    outputs = json.loads(place.terraform.succeed("output", "-json"))
    rule = place.session.client("config").get_custom_rule_policy(ConfigRuleName=outputs["config_rule_name"]["value"])
    assert outputs["instance_policy_arn"]["value"] in rule["PolicyText"]
    place.destroy()
    assert place.text() is None


# The slowest first; the first two are for the home region.
SCENARIOS: dict[str, Scenario] = {
    function.__name__: function
    for function in (
        example_complete,
        example_single_account,
        example_preferences,
        a_new_account,
        an_account_without_anything,
        a_document_that_logs_elsewhere,
        a_document_of_somebody_else,
        example_preferences_adopted,
    )
}


# What the others show, too, and the end-to-end tests of repairs.
SLOW = {example_complete.__name__, example_preferences.__name__, example_single_account.__name__}

# Played where roles may do what their policies allow, and nothing else.
ENFORCED = {a_document_that_logs_elsewhere.__name__}


def environment_of(sandbox: Sandbox, session: boto3.Session) -> dict[str, str]:
    """The environment of terraform in an account of an organization."""
    keys = session.get_credentials()
    assert keys
    return {
        **sandbox.environment(),
        "AWS_ACCESS_KEY_ID": str(keys.access_key),
        "AWS_SECRET_ACCESS_KEY": str(keys.secret_key),
        "AWS_SESSION_TOKEN": str(keys.token or ""),
    }


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The organization once more, with IAM enforced."""
    with Sandbox.start(default_organization(), tmp_path_factory.mktemp("enforcing"), enforce_iam=True) as running:
        yield running


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    enforcing: Sandbox,
    in_account: Callable[[str], Terraform],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[None]]]:
    """All scenarios that are selected, under way in accounts and regions where nothing else is."""
    # What lives in some of the accounts lives in their home region.
    lived_in = {sandbox.seed_data.foreign_document, sandbox.seed_data.moved_default, sandbox.seed_data.legacy}
    accounts = [account.id for account in sandbox.organization.members]
    home, other, *_ = sandbox.organization.regions
    free = [(account, home) for account in accounts if account not in lived_in]
    places = iter([*free, *((account, other) for account in accounts)])

    def prepared(name: str, account: str, region: str) -> Place:
        where = enforcing if name in ENFORCED else sandbox
        there, session = in_account(account), where.session(account, region)
        environment = {**there.environment, **environment_of(where, session), "TF_VAR_region": region}
        if name.startswith("example_"):
            folder = there.folder / "examples" / name.removeprefix("example_")
        else:
            folder = tmp_path_factory.mktemp(name)
            (folder / "modules").symlink_to(there.folder / "modules")
        return Place(session, where, replace(there, folder=folder, environment=environment))

    def play(name: str, place: Place) -> None:
        if not (place.terraform.folder / "main.tf").exists():
            place.write(NO_REPAIR)
        place.terraform.init()
        SCENARIOS[name](place)

    # Nobody else plays where IAM is enforced.
    selected = {item.name for item in request.session.items}
    # Each has its place, whichever are selected: other tests of the organization use the places that are left.
    where = {name: free[0] if name in ENFORCED else next(places) for name in SCENARIOS}
    prepared_places = {
        name: prepared(name, *place)
        for name, place in where.items()
        if any(item.startswith(f"test_lifecycle[{name}]") for item in selected)
    }
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(play, name, place) for name, place in prepared_places.items()}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in SCENARIOS],
)
def test_lifecycle(running: dict[str, Future[None]], name: str) -> None:
    running[name].result()
