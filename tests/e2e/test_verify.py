"""`rollout.py verify`, with a role that may read only, on accounts in every state that it tells apart."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import boto3
import pytest
from botocore import xform_name

from aws_sandbox import Sandbox, SandboxAccount, SandboxOrganization, find_guard_engine
from session_manager_fleet.accounts.matching import Matcher
from session_manager_fleet.cli.app import run
from session_manager_fleet.cli.commands import sessions as sessions_command
from session_manager_fleet.demo.agent import hold_session
from session_manager_fleet.preferences.expected import expected_preferences
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.settings.foundation import LogArchive
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import Selection, Target
from session_manager_fleet.terraform.policies import Names, merged, policy
from session_manager_fleet.verify import CHECKS, SESSIONS, VERIFY, TargetVerification, Verifier
from session_manager_fleet.verify.bucket_policy import expected_statements
from session_manager_fleet.verify.config_rule import expected_text
from session_manager_fleet.verify.model import PLAN_AND_APPLY
from session_manager_fleet.verify.reading import iam_action
from session_preferences.aws import Budget, caller
from session_preferences.reconcile import reconcile
from session_preferences.request import parse_event
from tests.e2e.keys import logs_key
from tests.live_drift_repair import create_drift_repair

PROJECT = Path(__file__).resolve().parents[2]
REGION = "eu-west-1"
ARCHIVE, MEMBER = "583920174652", "640281937465"
BUCKET = "central-session-logs"
POLICY = f"arn:aws:iam::{MEMBER}:policy/SessionManagerLogPolicy"
RULE, AUTOMATION = "iam-ec2-role-has-required-policy", "Attach-ssm-policy-to-instance-profile"
READER = f"arn:aws:iam::{ARCHIVE}:role/SessionLogAuditor"
PREFIX = f"sessionmanager/{MEMBER}/{REGION}"
ORGANIZATION = SandboxOrganization(
    id="o-verified12345",
    management_account_id="218407395516",
    accounts=(
        SandboxAccount("218407395516", "Management", "management@example.com", ""),
        SandboxAccount(ARCHIVE, "LogArchive", "archive@example.com", "Security"),
        SandboxAccount(MEMBER, "Member", "member@example.com", "Workloads"),
        # The last ones hold what others have left behind.
        SandboxAccount("640281937466", "Second", "second@example.com", "Workloads"),
        SandboxAccount("640281937467", "Third", "third@example.com", "Workloads"),
        SandboxAccount("640281937468", "Fourth", "fourth@example.com", "Workloads"),
    ),
    organizational_units=(),
    home_region=REGION,
    regions=(REGION,),
)
SETTINGS = f"""\
schema_version: 1
organization:
  id: {ORGANIZATION.id}
  home_region: {REGION}
  regions: [{REGION}]
  deployment_role: {{name: {ORGANIZATION.deployment_role}}}
  log_archive_account: LogArchive
log_archive: {{bucket_name: {BUCKET}, reader_role_arns: ["{READER}"]}}
defaults:
  # Its function would repair what the tests break.
  preferences: {{drift_repair: {{enabled: false}}}}
"""


ALL = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


def administrator(sandbox: Sandbox, account: str) -> boto3.Session:
    """A session of an administrator beside the deployment role, which is to lose its rights."""
    iam, role = sandbox.session(account, REGION).client("iam"), f"arn:aws:iam::{account}:role/owner"
    trust = {"Effect": "Allow", "Principal": {"AWS": ORGANIZATION.management_account_id}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName="owner", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust})
    )
    iam.put_role_policy(RoleName="owner", PolicyName="all", PolicyDocument=ALL)
    management = sandbox.session(ORGANIZATION.management_account_id, REGION).client("sts")
    credentials = management.assume_role(RoleArn=role, RoleSessionName="owner")["Credentials"]
    return boto3.Session(
        credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"], region_name=REGION
    )


class Member:
    """The account that is verified, and its administrator."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.session = administrator(sandbox, MEMBER)
        self.archive_session = administrator(sandbox, ARCHIVE)
        self.archive: Any = self.archive_session.client("s3")
        self.config = folder / "organization.yaml"
        self.config.write_text(dedent(SETTINGS))
        self.key = ""

    def client(self, service: str) -> Any:  # noqa: ANN401 - one kind for each service
        return self.session.client(service)  # type: ignore[call-overload]

    def make(self) -> None:
        """Make by hand what an apply would make."""
        self._make_bucket()
        kms, logs, iam = self.client("kms"), self.client("logs"), self.client("iam")
        self.key = logs_key(self.session, REGION, MEMBER)
        kms.enable_key_rotation(KeyId=self.key)
        for name in ("data", "logs"):
            kms.create_alias(AliasName=f"alias/session-manager/{name}", TargetKeyId=self.key)
        parameter = {"Name": "/session-manager/session-data-key", "Value": self.key.rpartition("/")[2]}
        self.client("ssm").put_parameter(Type="String", **parameter)
        logs.create_log_group(logGroupName="ssm-sessionmanager-logs", kmsKeyId=self.key)
        logs.put_retention_policy(logGroupName="ssm-sessionmanager-logs", retentionInDays=90)
        iam.create_policy(
            PolicyName="SessionManagerLogPolicy",
            PolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                            "Resource": f"arn:aws:logs:*:{MEMBER}:log-group:ssm-sessionmanager-logs:*",
                        },
                        {
                            "Effect": "Allow",
                            "Action": ["s3:PutObject", "s3:PutObjectAcl"],
                            "Resource": f"arn:aws:s3:::{BUCKET}/{PREFIX}/*",
                        },
                        {
                            "Effect": "Allow",
                            "Action": "s3:GetEncryptionConfiguration",
                            "Resource": f"arn:aws:s3:::{BUCKET}",
                        },
                        {"Effect": "Allow", "Action": "logs:DescribeLog*", "Resource": "*"},
                        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": f"arn:aws:kms:*:{MEMBER}:key/*"},
                    ],
                }
            ),
        )
        iam.attach_role_policy(RoleName="app-server", PolicyArn=POLICY)
        self.make_automation()
        self.make_rule()
        self.sandbox.wait_until_idle()
        self.write_document()

    def make_automation(self) -> None:
        """Make the Automation document with the script of the module, and the role that it assumes."""
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": trust})
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=AUTOMATION, AssumeRolePolicyDocument=document)
            iam.put_role_policy(RoleName=AUTOMATION, PolicyName="all", PolicyDocument=ALL)
        text = {"type": "String"}
        payload = {"ExcludedRoleNames": "", "ExcludedRolePaths": ""}
        asked = {name: f"{{{{ {name} }}}}" for name in ("IAMResourceId", "PolicyArn")}
        script = (PROJECT / "modules" / "config_rule" / "automation" / "attach_policy.py").read_text()
        step = {
            "name": "AttachPolicy",
            "action": "aws:executeScript",
            "timeoutSeconds": 60,
            "isEnd": True,
            "inputs": {
                "Runtime": "python3.11",
                "Handler": "attach_policy",
                "Script": script,
                "InputPayload": {**payload, **asked},
            },
        }
        content = {
            "schemaVersion": "0.3",
            "assumeRole": "{{ AutomationAssumeRole }}",
            "parameters": dict.fromkeys(["AutomationAssumeRole", *asked], text),
            "mainSteps": [step],
        }
        self.client("ssm").create_document(
            Name=AUTOMATION, DocumentType="Automation", DocumentFormat="JSON", Content=json.dumps(content)
        )

    def make_rule(self, text: str = "", **remediation: object) -> None:
        """Make the rule and its remediation, by default as configured."""
        target, values = self.target()
        messages = ("ConfigurationItemChangeNotification", "OversizedConfigurationItemChangeNotification")
        config = self.client("config")
        config.put_config_rule(
            ConfigRule={
                "ConfigRuleName": RULE,
                "Scope": {"ComplianceResourceTypes": ["AWS::IAM::Role"]},
                "Source": {
                    "Owner": "CUSTOM_POLICY",
                    "SourceDetails": [{"EventSource": "aws.config", "MessageType": message} for message in messages],
                    "CustomPolicyDetails": {
                        "PolicyRuntime": "guard-2.x.x",
                        "PolicyText": text or expected_text(values, POLICY),
                    },
                },
            }
        )
        role = {"StaticValue": {"Values": [f"arn:aws:iam::{target.account.id}:role/{AUTOMATION}"]}}
        config.put_remediation_configurations(
            RemediationConfigurations=[
                {
                    "ConfigRuleName": RULE,
                    "TargetType": "SSM_DOCUMENT",
                    "TargetId": AUTOMATION,
                    "ResourceType": "AWS::IAM::Role",
                    "Automatic": False,
                    "Parameters": {
                        "AutomationAssumeRole": role,
                        "IAMResourceId": {"ResourceValue": {"Value": "RESOURCE_ID"}},
                        "PolicyArn": {"StaticValue": {"Values": [POLICY]}},
                    },
                    **remediation,
                }
            ]
        )

    def target(self) -> tuple[Target, TargetSettings]:
        context = Inventory.load(self.config)
        (target,) = context.select(Selection(include=Matcher(accounts=[MEMBER]))).targets
        return target, context.settings.effective(target.account, REGION).values

    def write_document(self) -> None:
        target, values = self.target()
        request = parse_event({**expected_preferences(target, values, self.key), "tf": {"action": "create"}})
        budget = Budget(60)
        reconcile(request, caller(self.client, budget), budget, REGION)

    def _make_bucket(self) -> None:
        kms = self.archive_session.client("kms")
        uploads = {"Effect": "Allow", "Principal": "*", "Action": ["kms:*"], "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [uploads]})
        key = kms.create_key(Policy=document)["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName="alias/session-manager/log-archive", TargetKeyId=key)
        self.archive.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.encrypt_bucket("aws:kms", key)
        kms.enable_key_rotation(KeyId=key.rpartition("/")[2])
        self.settle_bucket()
        wanted = LogArchive(bucket_name=BUCKET, reader_role_arns=[READER])
        self.statements = expected_statements(wanted, ORGANIZATION.id, f"arn:aws:s3:::{BUCKET}", key)
        self.protect_bucket(self.statements)
        self.bucket_key = key

    def settle_bucket(self) -> None:
        """Give the bucket what modules/log_archive gives it beside policy and encryption."""
        s3, bucket = self.archive, {"Bucket": BUCKET}
        s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})
        blocked = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        s3.put_public_access_block(**bucket, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
        owner = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        s3.put_bucket_ownership_controls(**bucket, OwnershipControls=owner)
        logs = {
            "Expiration": {"Days": 365},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
        markers = {"Expiration": {"ExpiredObjectDeleteMarker": True}}
        rules = [
            {"ID": name, "Status": "Enabled", "Filter": {}, **rule}
            for name, rule in (("session-logs", logs), ("delete-markers", markers))
        ]
        s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": rules})

    def protect_bucket(self, statements: list[dict[str, Any]]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.archive.put_bucket_policy(Bucket=BUCKET, Policy=document)

    def upload(self, key: str) -> None:
        """Write a log into the folder of the account."""
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"log")

    def encrypt_bucket(self, algorithm: str, key: str | None) -> None:
        default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
        self.archive.put_bucket_encryption(
            Bucket=BUCKET,
            ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
        )


def reading_only(sandbox: Sandbox, *accounts: str) -> None:
    """Take everything but what verify and sessions need from the deployment role."""
    document = json.dumps(policy(merged([*VERIFY, *SESSIONS]), Names(bucket="*session-logs")))
    for account in accounts:
        iam = sandbox.session(account, REGION).client("iam")
        iam.put_role_policy(RoleName=ORGANIZATION.deployment_role, PolicyName="administrator", PolicyDocument=document)


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    folder = tmp_path_factory.mktemp("verified")
    with (
        pytest.MonkeyPatch.context() as patch,
        Sandbox.start(ORGANIZATION, folder / "sandbox", enforce_iam=True) as running,
    ):
        for name, value in running.environment().items():
            patch.setenv(name, value)
        patch.chdir(folder)  # for the run folders
        made = Member(running, folder)
        made.make()
        reading_only(running, MEMBER, ARCHIVE)
        yield made


@pytest.fixture
def verify(member: Member, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, dict[str, Any]]]]:
    def call(*arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
        capsys.readouterr()
        code = run(["-c", str(member.config), "verify", "--account", "Member", "--format", "json", *arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        (target,) = json.loads(captured.out)["targets"]
        return code, {check["name"]: check for check in target["checks"]}

    return call


def test_all_is_well(member: Member, verify: Callable[..., Any]) -> None:
    code, checks = verify()
    assert {name: check["verdict"] for name, check in checks.items()} == {
        "rollout": "ok",
        "other_regions": "ok",
        "session_key": "ok",
        "preferences": "ok",
        "log_group": "ok",
        "subscription": "not_needed",
        "data_protection": "not_needed",
        "drift_repair": "not_needed",
        "applied_preferences": "ok",
        "outside_changes": "not_needed",
        "public_sharing": "not_needed",
        "session_documents": "ok",
        "keys": "ok",
        "bucket": "ok",
        "bucket_policy": "ok",
        "archive": "ok",
        "endpoints": "not_needed",
        "logs": "not_needed",
        "log_streams": "not_needed",
        "roles": "not_needed",
        "instance_policy": "ok",
        "recorder": "ok",
        "config_rule": "ok",
    }
    assert code == 0
    assert member.bucket_key in checks["bucket"]["message"]


def test_a_result_has_its_evidence_which_needs_no_more_than_the_check_declares(verify: Callable[..., Any]) -> None:
    _, checks = verify()
    declared = {check.info.id: set(check.info.actions) for check in CHECKS}
    for name, check in checks.items():
        if check["verdict"] == "ok":
            assert check["evidence"], name
        assert {iam_action(call) for call in check["evidence"]} <= declared[name], name
        assert check["severity"] is None
    assert any(call.startswith("ssm:GetDocument Name=SSM-Session") for call in checks["preferences"]["evidence"])


def test_a_document_that_somebody_changed(member: Member, verify: Callable[..., Any]) -> None:
    ssm = member.client("ssm")
    content = json.loads(ssm.get_document(Name="SSM-SessionManagerRunShell")["Content"])
    content["inputs"]["idleSessionTimeout"] = "60"
    version = ssm.update_document(
        Name="SSM-SessionManagerRunShell", Content=json.dumps(content), DocumentVersion="$LATEST"
    )["DocumentDescription"]["DocumentVersion"]
    ssm.update_document_default_version(Name="SSM-SessionManagerRunShell", DocumentVersion=version)
    code, checks = verify()
    assert code == 2
    assert checks["preferences"]["verdict"] == "finding"
    assert "idleSessionTimeout" in checks["preferences"]["message"]
    assert checks["preferences"]["fix"]
    member.write_document()
    assert verify()[0] == 0


def test_documents_that_go_around_the_logging(member: Member, verify: Callable[..., Any]) -> None:
    """What `fix` says, done literally, ends the finding: for a document of the account, and for a shared one."""
    other = "640281937466"
    sessions = {MEMBER: member.client("ssm"), other: member.sandbox.session(other, REGION).client("ssm")}
    tunnel = {"schemaVersion": "1.0", "sessionType": "Port", "properties": {"portNumber": "22"}}
    for account, ssm in sessions.items():
        ssm.create_document(Name=f"Tunnel-{account}", DocumentType="Session", Content=json.dumps(tunnel))
        shared = MEMBER if account == other else other
        ssm.modify_document_permission(Name=f"Tunnel-{account}", PermissionType="Share", AccountIdsToAdd=[shared])
    with pytest.raises(sessions[MEMBER].exceptions.InvalidDocument):
        sessions[MEMBER].get_document(Name=f"arn:aws:ssm:{REGION}:{other}:document/SSM-SessionManagerRunShell")

    code, checks = verify()

    assert (code, checks["session_documents"]["verdict"]) == (2, "finding")
    assert f"Tunnel-{MEMBER} is for SSH" in checks["session_documents"]["message"]
    assert f"Tunnel-{other} of {other} is for SSH" in checks["session_documents"]["message"]
    own, shared = checks["session_documents"]["fix"].splitlines()
    for account, line in ((MEMBER, own), (other, shared)):
        for command in line[line.index("aws ") :].split(" && "):
            by_hand(command, sessions[account])
    code, checks = verify()
    assert (code, checks["session_documents"]["verdict"]) == (0, "ok")
    sessions[other].delete_document(Name=f"Tunnel-{other}")


def by_hand(command: str, client: Any) -> None:  # noqa: ANN401 - one kind for each service
    """Do what a command of the AWS CLI does, with a client of its service."""
    _aws, service, operation, *words = command.split()
    assert service == client.meta.service_model.service_name
    options: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            options[word] = values = []
        else:
            values.append(word)
    assert options.pop("--region") == [REGION]
    method = operation.replace("-", "_")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    names = {f"--{xform_name(name, '-')}": name for name in shape.members}
    many = {name for name, member in shape.members.items() if member.type_name == "list"}
    asked = {names[option]: given if names[option] in many else given[0] for option, given in options.items()}
    getattr(client, method)(**asked)


@pytest.mark.parametrize(
    ("algorithm", "key", "message"),
    [
        ("AES256", None, "expected aws:kms"),
        ("aws:kms", None, "the AWS managed key"),
        ("aws:kms", "alias/session-logs", "expected the full ARN"),
        ("aws:kms:dsse", "own", "which the SSM agent refuses"),
        # Of the account of the log archive, but not the key that the readers may use.
        ("aws:kms", f"arn:aws:kms:{REGION}:{ARCHIVE}:key/11111111-2222-3333-4444-555555555555", "expected arn:"),
    ],
)
def test_the_bucket_encryption(
    member: Member, verify: Callable[..., Any], algorithm: str, key: str | None, message: str
) -> None:
    member.encrypt_bucket(algorithm, member.bucket_key if key == "own" else key)
    code, checks = verify()
    member.encrypt_bucket("aws:kms", member.bucket_key)
    assert (code, checks["bucket"]["verdict"]) == (2, "finding")
    assert message in checks["bucket"]["message"]


def test_the_key_of_the_bucket_is_going(member: Member, verify: Callable[..., Any]) -> None:
    kms, key = member.archive_session.client("kms"), member.bucket_key.rpartition("/")[2]
    kms.disable_key(KeyId=key)
    disabled = verify()
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    going = verify()
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert [(code, checks["bucket"]["verdict"]) for code, checks in (disabled, going)] == [(2, "finding")] * 2
    assert "is Disabled: no log can be written" in disabled[1]["bucket"]["message"]
    assert "is PendingDeletion" in going[1]["bucket"]["message"]


def test_the_key_of_the_log_archive_is_missing(member: Member, verify: Callable[..., Any]) -> None:
    kms = member.archive_session.client("kms")
    kms.delete_alias(AliasName="alias/session-manager/log-archive")
    code, checks = verify()
    kms.create_alias(AliasName="alias/session-manager/log-archive", TargetKeyId=member.bucket_key.rpartition("/")[2])
    assert (code, checks["bucket"]["verdict"], checks["bucket_policy"]["verdict"]) == (2, "finding", "finding")
    assert f"does not exist in account {ARCHIVE}" in checks["bucket"]["message"]


def test_a_key_that_is_given(member: Member, capsys: pytest.CaptureFixture[str]) -> None:
    config, key = member.config.with_name("given-key.yaml"), f"bucket_key: {{kms_key_arn: {member.bucket_key}}}"
    config.write_text(member.config.read_text().replace("log_archive: {", f"log_archive: {{{key}, "))
    code = run(["-c", str(config), "verify", "--account", "Member", "--format", "json"])
    (target,) = json.loads(capsys.readouterr().out)["targets"]
    assert [check for check in target["checks"] if check["verdict"] not in {"ok", "not_needed"}] == []
    assert code == 0


def test_what_the_policy_of_the_bucket_lacks(member: Member, verify: Callable[..., Any]) -> None:
    missing = {"WriteOwnFolder", "NoDeletion"}
    member.protect_bucket([each for each in member.statements if each["Sid"] not in missing])
    code, checks = verify()
    member.archive.delete_bucket_policy(Bucket=BUCKET)
    _, without = verify()
    member.protect_bucket(member.statements)
    assert (code, checks["bucket_policy"]["verdict"]) == (2, "finding")
    assert f"The policy of the bucket {BUCKET} lacks WriteOwnFolder, NoDeletion." == checks["bucket_policy"]["message"]
    assert "ReadEncryption" in without["bucket_policy"]["message"]


def test_what_protects_the_archive_and_is_switched_off(member: Member, verify: Callable[..., Any]) -> None:
    s3, bucket = member.archive, {"Bucket": BUCKET}
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_public_access_block(**bucket)
    s3.delete_bucket_ownership_controls(**bucket)
    s3.delete_bucket_lifecycle(**bucket)
    code, checks = verify()
    member.settle_bucket()
    assert (code, checks["archive"]["verdict"]) == (2, "finding")
    for problem in ("versioning is Suspended", "public access is not blocked", "ACLs are not", "rule session-logs is"):
        assert problem in checks["archive"]["message"]
    assert f"apply --account {ARCHIVE} --region {REGION}" in checks["archive"]["command"]
    assert verify()[1]["archive"]["verdict"] == "ok"


def test_a_bucket_that_is_gone(member: Member, verify: Callable[..., Any]) -> None:
    member.archive.delete_bucket(Bucket=BUCKET)
    code, checks = verify()
    member.archive.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    member.encrypt_bucket("aws:kms", member.bucket_key)
    member.protect_bucket(member.statements)
    member.settle_bucket()
    assert code == 2
    gone = {name: check["message"] for name, check in checks.items() if check["verdict"] == "finding"}
    assert gone == dict.fromkeys(["bucket", "bucket_policy", "archive", "logs"], f"The bucket {BUCKET} does not exist.")


def test_a_log_group_without_key_and_with_another_retention(member: Member, verify: Callable[..., Any]) -> None:
    logs = member.client("logs")
    logs.delete_log_group(logGroupName="ssm-sessionmanager-logs")
    missing = verify()[1]["log_group"]["message"]
    logs.create_log_group(logGroupName="ssm-sessionmanager-logs")
    _, checks = verify()
    logs.delete_log_group(logGroupName="ssm-sessionmanager-logs")
    logs.create_log_group(logGroupName="ssm-sessionmanager-logs", kmsKeyId=member.key)
    logs.put_retention_policy(logGroupName="ssm-sessionmanager-logs", retentionInDays=90)
    assert "does not exist" in missing
    assert "has no KMS key" in checks["log_group"]["message"]
    assert 'retention is "never expire", expected 90 days' in checks["log_group"]["message"]


def test_a_key_that_is_going(member: Member, verify: Callable[..., Any]) -> None:
    kms = member.client("kms")
    kms.disable_key(KeyId=member.key.rpartition("/")[2])
    _, checks = verify()
    kms.enable_key(KeyId=member.key.rpartition("/")[2])
    assert checks["session_key"]["verdict"] == "finding"
    assert "Disabled" in checks["session_key"]["message"]


def test_a_policy_that_means_another_group(member: Member, verify: Callable[..., Any]) -> None:
    iam, arn = member.client("iam"), f"arn:aws:iam::{MEMBER}:policy/SessionManagerLogPolicy"
    other = {"Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "arn:aws:logs:*:*:log-group:another:*"}
    version = iam.create_policy_version(
        PolicyArn=arn,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": other}),
        SetAsDefault=True,
    )["PolicyVersion"]["VersionId"]
    _, checks = verify()
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    assert "the log group ssm-sessionmanager-logs and the bucket" in checks["instance_policy"]["message"]


def test_a_recorder_that_stands_still(member: Member, verify: Callable[..., Any]) -> None:
    config = member.client("config")
    config.stop_configuration_recorder(ConfigurationRecorderName="default")
    _, checks = verify()
    config.start_configuration_recorder(ConfigurationRecorderName="default")
    assert checks["recorder"]["verdict"] == "finding"


def run_advice(member: Member, fix: str) -> None:
    """Run the AWS commands in an advice, with the rights of the account's administrator."""
    for command in fix.split("`")[1].split(" && "):
        _aws, service, operation, *words = command.split()
        options: dict[str, Any] = {}
        for word in words:
            if word.startswith("--"):
                name = "".join(part.capitalize() for part in word[2:].split("-"))
                options[name] = []
            else:
                pairs = dict(pair.split("=", 1) for pair in word.split(",")) if "=" in word else word
                options[name].append(pairs)
        assert options.pop("Region", [REGION]) == [REGION]
        given = {name: value if isinstance(value[0], dict) else value[0] for name, value in options.items()}
        client = member.client({"configservice": "config"}.get(service, service))
        getattr(client, operation.replace("-", "_"))(**given)
    member.sandbox.wait_until_idle()


def forget_rule(member: Member) -> None:
    member.client("config").delete_remediation_configuration(ConfigRuleName=RULE)
    member.client("config").delete_config_rule(ConfigRuleName=RULE)


@pytest.mark.parametrize(
    ("sabotage", "message"),
    [
        (forget_rule, f"The Config rule {RULE} does not exist."),
        (
            lambda member: member.client("config").delete_remediation_configuration(ConfigRuleName=RULE),
            f"The Config rule {RULE} is not as configured: it has no remediation.",
        ),
        (lambda member: member.make_rule(Automatic=True), "its remediation is automatic"),
        (lambda member: member.make_rule(TargetId="Another"), f"its remediation runs Another, expected {AUTOMATION}"),
        (
            lambda member: member.client("ssm").delete_document(Name=AUTOMATION),
            f"the Automation document {AUTOMATION} does not exist",
        ),
    ],
    ids=["no rule", "no remediation", "automatic", "another document", "no document"],
)
def test_a_rule_that_somebody_changed(
    member: Member, verify: Callable[..., Any], sabotage: Callable[[Member], object], message: str
) -> None:
    """What an apply makes again, as the fixture does here."""
    sabotage(member)
    code, checks = verify()
    if "document" in message and "not exist" in message:
        member.make_automation()
    member.make_rule()
    member.sandbox.wait_until_idle()
    assert (code, checks["config_rule"]["verdict"]) == (2, "finding")
    assert message in checks["config_rule"]["message"]
    assert checks["config_rule"]["fix"] == PLAN_AND_APPLY
    assert verify()[1]["config_rule"]["verdict"] == "ok"


def test_another_text_of_the_rule_which_terraform_cannot_see(member: Member, verify: Callable[..., Any]) -> None:
    member.make_rule("rule nothing { resourceName exists }")
    _, checks = verify()
    found = checks["config_rule"]
    run_advice(member, found["fix"])
    assert "does not exist" in verify()[1]["config_rule"]["message"], "so that an apply makes it again"
    member.make_rule()
    member.sandbox.wait_until_idle()
    assert found["message"] == f"The Guard text of the Config rule {RULE} is another one."
    assert " apply " in found["command"]
    assert verify()[1]["config_rule"]["verdict"] == "ok"


@pytest.mark.skipif(not find_guard_engine(), reason="no engine evaluates the rule here")
def test_a_role_that_lost_the_policy_is_named_and_the_advice_attaches_it(
    member: Member, verify: Callable[..., Any]
) -> None:
    iam, config = member.client("iam"), member.client("config")
    iam.detach_role_policy(RoleName="app-server", PolicyArn=POLICY)
    member.sandbox.wait_until_idle()
    key = {"ResourceType": "AWS::IAM::Role", "ResourceId": iam.get_role(RoleName="app-server")["Role"]["RoleId"]}
    config.put_remediation_exceptions(ConfigRuleName=RULE, ResourceKeys=[key], Message="Moves next week.")
    code, checks = verify()
    config.delete_remediation_exceptions(ConfigRuleName=RULE, ResourceKeys=[key])
    run_advice(member, checks["config_rule"]["fix"])
    assert (code, checks["config_rule"]["verdict"]) == (2, "finding")
    assert checks["config_rule"]["message"] == (
        "Roles without the policy: app-server. Excepted from remediation: app-server (Moves next week)."
    )
    assert verify()[1]["config_rule"]["verdict"] == "ok"


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("config", "DescribeConfigRules"),
        ("config", "GetCustomRulePolicy"),
        ("config", "GetComplianceDetailsByConfigRule"),
        ("config", "DescribeRemediationConfigurations"),
        ("config", "DescribeRemediationExceptions"),
    ],
)
def test_a_rule_that_may_not_be_read_is_not_taken_for_good(
    member: Member, verify: Callable[..., Any], service: str, operation: str
) -> None:
    member.sandbox.inject_fault(service, operation, code="AccessDeniedException", times=-1)
    code, checks = verify()
    member.sandbox.clear_faults()
    assert (code, checks["config_rule"]["verdict"]) == (1, "not_checked")


def test_what_may_not_be_read_is_not_taken_for_good(member: Member, verify: Callable[..., Any]) -> None:
    member.sandbox.inject_fault("logs", "DescribeLogGroups", code="AccessDeniedException", times=-1)
    code, checks = verify()
    member.sandbox.clear_faults()
    assert (code, checks["log_group"]["verdict"]) == (1, "not_checked")


class TestInstances:
    """With a managed instance in a VPC of its own."""

    @pytest.fixture(autouse=True)
    def instance(self, member: Member) -> Iterator[str]:
        ec2 = member.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
        made = ec2.run_instances(
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            IamInstanceProfile={"Name": "app-server"},
        )
        instance = made["Instances"][0]["InstanceId"]
        yield vpc
        ec2.terminate_instances(InstanceIds=[instance])

    @pytest.fixture
    def log(self, member: Member) -> Iterator[str]:
        """A key for a log; what is there is taken away at the end, from which the bucket's policy keeps everybody."""
        key = f"{PREFIX}/jane-0123.log"
        yield key
        member.archive.delete_bucket_policy(Bucket=BUCKET)
        member.archive.delete_object(Bucket=BUCKET, Key=key)
        member.protect_bucket(member.statements)

    def test_no_way_to_the_services(self, member: Member, verify: Callable[..., Any], instance: str) -> None:
        _, checks = verify()
        assert checks["endpoints"]["verdict"] == "finding"
        assert f"{instance} lacks ssm, ssmmessages, kms, s3, logs" in checks["endpoints"]["message"]
        ec2 = member.client("ec2")
        for service in ("ssm", "ssmmessages", "kms", "s3", "logs"):
            ec2.create_vpc_endpoint(
                VpcId=instance,
                ServiceName=f"com.amazonaws.{REGION}.{service}",
                VpcEndpointType="Interface",
                PrivateDnsEnabled=True,
            )
        assert verify()[1]["endpoints"]["verdict"] == "ok"

    def test_a_role_of_an_instance_that_lost_the_policy(
        self, member: Member, verify: Callable[..., Any], instance: str
    ) -> None:
        assert instance, "its role is app-server"
        assert verify()[1]["roles"]["verdict"] == "ok"
        member.client("iam").detach_role_policy(RoleName="app-server", PolicyArn=POLICY)
        _, checks = verify()
        run_advice(member, checks["roles"]["fix"])
        assert checks["roles"]["verdict"] == "finding"
        assert f"These roles of managed nodes lack {POLICY}: app-server (i-" in checks["roles"]["message"]
        assert "They cannot use the session key, so no session starts there." in checks["roles"]["message"]
        assert verify()[1]["roles"]["verdict"] == "ok"
        for operation in ("ListEntitiesForPolicy", "GetInstanceProfile", "GetRole"):
            member.sandbox.inject_fault("iam", operation, code="AccessDenied", times=-1)
            assert verify()[1]["roles"]["verdict"] == "not_checked", operation
            member.sandbox.clear_faults()

    def test_a_way_through_the_internet(self, member: Member, verify: Callable[..., Any], instance: str) -> None:
        ec2 = member.client("ec2")
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=instance)
        tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [instance]}])["RouteTables"]
        ec2.create_route(RouteTableId=tables[0]["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        assert verify()[1]["endpoints"]["verdict"] == "finding", "the instance has no public address"
        here = [{"Name": "vpc-id", "Values": [instance]}]
        (found,) = ec2.describe_instances(Filters=here)["Reservations"]
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        ec2.associate_address(AllocationId=address, InstanceId=found["Instances"][0]["InstanceId"])
        assert verify()[1]["endpoints"]["verdict"] == "ok"

    def test_logs_arrive(
        self, member: Member, verify: Callable[..., Any], log: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, checks = verify()
        assert (code, checks["logs"]["verdict"]) == (2, "finding")
        assert "No log has ever arrived" in checks["logs"]["message"]
        # One copy proves nothing about the other.
        assert checks["log_streams"]["verdict"] == "finding"
        timer = threading.Timer(2, lambda: member.upload(log))
        timer.start()
        _, checks = verify("--watch", "30")
        timer.join()
        assert checks["logs"]["message"] == f"{log} has arrived."
        assert checks["logs"]["newest_log"]["key"] == log
        found = verify("--max-log-age", "1h")[1]["logs"]
        assert found["verdict"] == "ok"
        assert found["newest_log"]["key"] == log
        assert 0 <= found["newest_log"]["age_seconds"] < 60
        client, stream = (
            member.client("logs"),
            {"logGroupName": "ssm-sessionmanager-logs", "logStreamName": "jane-0123"},
        )
        client.create_log_stream(**stream)
        client.put_log_events(**stream, logEvents=[{"timestamp": int(time.time() * 1000), "message": "whoami"}])
        assert verify()[1]["log_streams"]["newest_log"]["key"] == "jane-0123"
        client.delete_log_stream(**stream)
        run(["-c", str(member.config), "verify", "--account", "Member"])
        table = capsys.readouterr().out
        assert "newest log" in table
        assert "jane-0123.log" in table

    def test_a_watch_goes_on_where_another_account_cannot_be_listed(
        self, member: Member, log: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        location: Any = {"LocationConstraint": REGION}
        member.archive.create_bucket(Bucket="closed-session-logs", CreateBucketConfiguration=location)
        config = member.config.with_name("closed.yaml")
        closed = "{match: {accounts: [Second]}, set: {preferences: {s3: {bucket_name: closed-session-logs}}}}"
        config.write_text(f"{member.config.read_text()}overrides: [{closed}]\n")
        timer = threading.Timer(2, lambda: member.upload(log))
        timer.start()
        accounts = ["--account", "Member", "--account", "Second"]
        code = run(["-c", str(config), "verify", *accounts, "--watch", "30", "--format", "json"])
        timer.join()
        member.archive.delete_bucket(Bucket="closed-session-logs")
        targets = {each["account_name"]: each for each in json.loads(capsys.readouterr().out)["targets"]}
        logs = {
            name: next(check for check in target["checks"] if check["name"] == "logs")
            for name, target in targets.items()
        }
        assert code == 1
        assert (logs["Second"]["verdict"], logs["Member"]["verdict"]) == ("not_checked", "ok")
        assert "Cannot list the logs in closed-session-logs/" in logs["Second"]["message"]


def test_a_protection_that_is_dismantled(member: Member, capsys: pytest.CaptureFixture[str]) -> None:
    create_drift_repair(member.client, MEMBER, REGION)
    config, ssm = member.config.with_name("protected.yaml"), member.client("ssm")
    text = member.config.read_text()
    off = "drift_repair: {enabled: false}"
    assert off in text
    config.write_text(text.replace(off, "block_public_sharing: true"))
    sharing = f"arn:aws:ssm:{REGION}:{MEMBER}:servicesetting/ssm/documents/console/public-sharing-permission"
    ssm.update_service_setting(SettingId=sharing, SettingValue="Disable")
    audited = ("drift_repair", "applied_preferences", "public_sharing", "keys")

    def verify() -> tuple[int, dict[str, str], str]:
        capsys.readouterr()
        code = run(["-c", str(config), "verify", "--account", "Member", "--format", "json"])
        (target,) = json.loads(capsys.readouterr().out)["targets"]
        checks = [check for check in target["checks"] if check["name"] in audited]
        return code, {check["name"]: check["verdict"] for check in checks}, " ".join(one["message"] for one in checks)

    intact = verify()
    events = member.client("events")
    for rule in ("api-calls", "schedule"):
        events.disable_rule(Name=f"session-manager-preferences-{rule}")
    member.client("lambda").delete_function(FunctionName="session-manager-preferences")
    ssm.update_service_setting(SettingId=sharing, SettingValue="Enable")
    key = member.key.rpartition("/")[2]
    member.client("kms").disable_key_rotation(KeyId=key)
    ssm.delete_parameter(Name="/session-manager/session-data-key")
    code, verdicts, messages = verify()
    member.client("kms").enable_key_rotation(KeyId=key)
    ssm.put_parameter(Name="/session-manager/session-data-key", Value=key, Type="String")

    assert intact[:2] == (0, dict.fromkeys(audited, "ok")), intact[2]
    assert (code, verdicts) == (2, dict.fromkeys(audited, "finding"))
    for problem in (
        "-schedule is DISABLED",
        "the function session-manager-preferences does not exist",
        "shared publicly",
    ):
        assert problem in messages


def test_an_account_that_cannot_be_entered(member: Member, capsys: pytest.CaptureFixture[str]) -> None:
    member.sandbox.inject_fault("sts", "AssumeRole", code="AccessDenied", times=-1)
    code = run(["-c", str(member.config), "verify", "--account", "Member"])
    member.sandbox.clear_faults()
    assert code == 1
    assert f"No access to {MEMBER}/{REGION}" in capsys.readouterr().out


def test_an_interrupted_run_keeps_what_it_verified(
    member: Member, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = Verifier.verify

    def interrupted(self: Verifier, targets: Any, finished: Any, *, stop: threading.Event) -> Any:  # noqa: ANN401
        def finish(one: TargetVerification) -> None:
            finished(one)
            os.kill(os.getpid(), signal.SIGINT)

        verified = original(self, targets, finish, stop=stop)
        assert stop.wait(10)
        return verified

    monkeypatch.setattr(Verifier, "verify", interrupted)
    code = run(["-c", str(member.config), "verify", "--account", "Member", "--runs", str(tmp_path)])
    (folder,) = tmp_path.iterdir()
    kept = json.loads((folder / "verification.json").read_text())

    assert code == kept["exit_code"] == 130
    assert [target["account_id"] for target in kept["targets"]] == [MEMBER]
    assert kept["warnings"] == ["The run was interrupted; verified: 1 of 1 target."]
    assert json.loads((folder / "journal.jsonl").read_text().splitlines()[-1])["exit_code"] == 130
    printed = capsys.readouterr().err
    assert f"Run {folder.name}: " in printed
    assert "Interrupted." in printed


def test_findings_as_a_table(member: Member, capsys: pytest.CaptureFixture[str]) -> None:
    member.client("kms").disable_key(KeyId=member.key.rpartition("/")[2])
    code = run(["-c", str(member.config), "verify", "--account", "Member"])
    member.client("kms").enable_key(KeyId=member.key.rpartition("/")[2])
    out = capsys.readouterr().out
    assert code == 2
    assert "Fix: " in out
    assert "1 target: 11 ok, 3 finding, 9 not needed" in out  # the key serves the log group, too


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--watch", "5"], "use at least that"),
        (["--max-log-age", "soon"], "is not an age"),
        (["--format", "xml"], "Unknown format"),
    ],
)
def test_refusals(member: Member, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert run(["-c", str(member.config), "verify", "--all", *arguments]) == 64
    assert message in capsys.readouterr().err


def test_sessions_and_their_logs(
    member: Member, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions of every kind, opened by a user and logged by the agent's stand-in; the read role finds each log.

    The last test: the archive lets no log be removed, and the others expect none.
    """
    instances, ssm, iam = member.client("ec2"), member.client("ssm"), member.client("iam")
    started = instances.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "app-server"}
    )
    node = started["Instances"][0]["InstanceId"]
    iam.put_role_policy(RoleName="app-server", PolicyName="archive", PolicyDocument=ALL)
    agent = member.sandbox.instance_session(MEMBER, "app-server", REGION)
    custom = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": {}}
    tunnel = {"schemaVersion": "1.0", "sessionType": "Port", "properties": {"portNumber": "22"}}
    for name, content in (("Unlogged-Shell", custom), ("Own-Tunnel", tunnel)):
        ssm.create_document(Name=name, DocumentType="Session", Content=json.dumps(content))
    held = {
        "logged": hold_session(member.session, agent, node, "$ whoami\n"),
        "without script": hold_session(member.session, agent, node, "", has_script=False),
        "other document": hold_session(member.session, agent, node, "$ id\n", document="Unlogged-Shell"),
        "port": hold_session(member.session, agent, node, "", document="AWS-StartPortForwardingSession"),
        "ssh": hold_session(member.session, agent, node, "", document="Own-Tunnel"),
    }
    iam.detach_role_policy(RoleName="app-server", PolicyArn=POLICY)
    iam.delete_role_policy(RoleName="app-server", PolicyName="archive")
    held["no permission"] = hold_session(member.session, agent, node, "$ id\n")
    held["active"] = ssm.start_session(Target=node, Reason="incident 7")["SessionId"]

    def sessions(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        options = ["--format", "json", "--arrival", "15m", *arguments]
        code = run(["-c", str(member.config), "sessions", *options])
        return code, {each["session_id"]: each for each in json.loads(capsys.readouterr().out)["sessions"]}

    try:
        code, found = sessions("--account", "Member")
        states = {
            name: (found[each]["state"], found[each]["cause"], found[each]["kind"]) for name, each in held.items()
        }
        assert states == {
            "logged": ("logged", None, "shell"),
            "without script": ("not_logged", "no_script", "shell"),
            "other document": ("not_logged", "document", "shell"),
            "port": ("not_logged", "document", "port"),
            "ssh": ("not_logged", "document", "ssh"),
            "no permission": ("not_yet", None, "shell"),
            "active": ("not_yet", None, "shell"),
        }
        assert code == 2
        logged = found[held["logged"]]
        assert logged["logs"] == [
            f"s3://{BUCKET}/{PREFIX}/{held['logged']}.log",
            f"ssm-sessionmanager-logs:{held['logged']}",
        ]
        assert logged["user"] == f"arn:aws:sts::{MEMBER}:assumed-role/owner/owner"
        assert (logged["in_cloudtrail"], logged["source_address"], logged["node"]) == (True, "127.0.0.1", node)
        assert found[held["active"]]["reason"] == "incident 7"
        # One session is proved without a selection; a log that is late shows why.
        assert sessions(held["logged"]) == (0, {held["logged"]: logged})
        monkeypatch.setattr(sessions_command, "parse_age", lambda *_: timedelta(0))
        code, late = sessions(held["no permission"])
        monkeypatch.undo()
        assert (code, late[held["no permission"]]["cause"]) == (2, "no_permission")
        assert sessions("--account", "Member", "--kind", "shell", "--state", "logged")[0] == 0
        assert run(["-c", str(member.config), "sessions", "jane-00000000000000000"]) == 64
    finally:
        instances.terminate_instances(InstanceIds=[node])
        ssm.terminate_session(SessionId=held["active"])
        iam.attach_role_policy(RoleName="app-server", PolicyArn=POLICY)
        for name in ("Unlogged-Shell", "Own-Tunnel"):
            ssm.delete_document(Name=name)
