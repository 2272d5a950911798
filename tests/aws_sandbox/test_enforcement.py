"""Roles with least privilege, in an organization that enforces it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox, SandboxAccount, SandboxOrganization
from session_manager_fleet.run.refusals import Place, examine

if TYPE_CHECKING:
    from mypy_boto3_lambda.literals import InvocationTypeType

MEMBER = "640281937465"
REGION = "us-east-1"
ORGANIZATION = SandboxOrganization(
    id="o-enforced1234",
    management_account_id="218407395516",
    accounts=(
        SandboxAccount("218407395516", "Management", "management@example.com", ""),
        SandboxAccount(MEMBER, "Member", "member@example.com", ""),
        # The last ones hold the seed data.
        SandboxAccount("640281937466", "Second", "second@example.com", ""),
        SandboxAccount("640281937467", "Third", "third@example.com", ""),
        SandboxAccount("640281937468", "Fourth", "fourth@example.com", ""),
    ),
    organizational_units=(),
    home_region=REGION,
    regions=(REGION,),
)


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox.start(ORGANIZATION, tmp_path_factory.mktemp("enforcing"), enforce_iam=True) as running:
        yield running


@pytest.fixture(scope="module")
def admin(enforcing: Sandbox) -> boto3.Session:
    return enforcing.session(MEMBER, REGION)


def allow(action: str | list[str], resource: str = "*", **condition: dict[str, str]) -> dict[str, object]:
    statement: dict[str, object] = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


class Role:
    """A role that the management account assumes, with one inline policy."""

    def __init__(
        self, sandbox: Sandbox, admin: boto3.Session, name: str, service: str = "lambda.amazonaws.com"
    ) -> None:
        self.name = name
        self._sandbox = sandbox
        self._iam = admin.client("iam")
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": service, "AWS": sandbox.organization.management_account_id},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        self.arn = self._iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]

    def may(self, *statements: dict[str, object]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self._iam.put_role_policy(RoleName=self.name, PolicyName="least", PolicyDocument=document)

    def client(self, service: str) -> Any:  # noqa: ANN401 - one kind for each service
        sandbox = self._sandbox
        management = sandbox.session(sandbox.organization.management_account_id, REGION)
        credentials = management.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="test")["Credentials"]
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=sandbox.endpoint_url,
            region_name=REGION,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    def delete(self) -> None:
        self._iam.delete_role_policy(RoleName=self.name, PolicyName="least")
        self._iam.delete_role(RoleName=self.name)


@pytest.fixture
def role(enforcing: Sandbox, admin: boto3.Session) -> Iterator[Role]:
    made = Role(enforcing, admin, "least-privilege")
    yield made
    made.delete()


def denied(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_actions_and_resources(role: Role, admin: boto3.Session) -> None:
    role.may(allow("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{MEMBER}:parameter/mine/*"))
    for name in ("/mine/one", "/other/one"):
        admin.client("ssm").put_parameter(Name=name, Value="x", Type="String")
    ssm = role.client("ssm")
    assert ssm.get_parameter(Name="/mine/one")["Parameter"]["Value"] == "x"
    with pytest.raises(
        ClientError, match="not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:"
    ) as no:
        ssm.get_parameter(Name="/other/one")
    assert denied(no) == ("AccessDeniedException", 403)
    with pytest.raises(ClientError, match="ssm:PutParameter"):
        ssm.put_parameter(Name="/mine/one", Value="y", Type="String", Overwrite=True)
    assert role.client("sts").get_caller_identity()["Arn"].endswith("assumed-role/least-privilege/test")
    admin.client("ssm").delete_parameters(Names=["/mine/one", "/other/one"])


@pytest.mark.parametrize(
    ("service", "statement", "allowed", "refused"),
    [
        (
            "ssm",
            allow("ssm:CreateDocument", f"arn:aws:ssm:{REGION}:{MEMBER}:document/SSM-SessionManagerRunShell"),
            None,
            ("create_document", {"Name": "Another", "DocumentType": "Session", "Content": "{}"}),
        ),
        (
            "iam",
            allow("iam:GetRole", f"arn:aws:iam::{MEMBER}:role/app-*"),
            ("get_role", {"RoleName": "app-server"}),
            ("get_role", {"RoleName": "report-function"}),
        ),
        (
            "logs",
            allow("logs:DescribeLogGroups", f"arn:aws:logs:{REGION}:{MEMBER}:log-group:*"),
            ("describe_log_groups", {}),
            ("create_log_group", {"logGroupName": "x"}),
        ),
        (
            "config",
            allow("config:GetResourceConfigHistory"),
            None,
            ("describe_config_rules", {}),
        ),
        (
            "config",
            allow("config:DescribeConfigRules"),
            ("describe_config_rules", {}),
            # Answered by the sandbox itself.
            ("get_resource_config_history", {"resourceType": "AWS::IAM::Role", "resourceId": "x"}),
        ),
        (
            "lambda",
            allow("lambda:ListFunctions"),
            ("list_functions", {}),
            ("invoke", {"FunctionName": "x"}),
        ),
        (
            "sqs",
            allow("sqs:ListQueues"),
            ("list_queues", {}),
            ("create_queue", {"QueueName": "x"}),
        ),
        (
            "organizations",
            allow("organizations:DescribeOrganization"),
            ("describe_organization", {}),
            None,
        ),
    ],
)
def test_in_every_service(
    role: Role,
    service: str,
    statement: dict[str, object],
    allowed: tuple[str, dict[str, object]] | None,
    refused: tuple[str, dict[str, object]] | None,
) -> None:
    role.may(statement)
    client = role.client(service)
    if allowed:
        getattr(client, allowed[0])(**allowed[1])
    if refused:
        with pytest.raises(ClientError, match="is not authorized to perform") as no:
            getattr(client, refused[0])(**refused[1])
        assert denied(no)[1] == 403


def test_buckets(role: Role, admin: boto3.Session) -> None:
    admin.client("s3").create_bucket(Bucket="enforced")
    admin.client("s3").put_bucket_encryption(
        Bucket="enforced",
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    role.may(
        allow("s3:GetEncryptionConfiguration", "arn:aws:s3:::enforced"),
        allow("s3:PutObject", f"arn:aws:s3:::enforced/{MEMBER}/*"),
    )
    s3 = role.client("s3")
    assert s3.get_bucket_encryption(Bucket="enforced")
    s3.put_object(Bucket="enforced", Key=f"{MEMBER}/log", Body=b"")
    for name, arguments in (
        ("put_object", {"Key": "other/log", "Body": b""}),
        ("list_objects_v2", {}),
        ("get_object", {"Key": f"{MEMBER}/log"}),
    ):
        with pytest.raises(ClientError) as no:
            getattr(s3, name)(Bucket="enforced", **arguments)
        assert denied(no) == ("AccessDenied", 403)
    admin.client("s3").delete_object(Bucket="enforced", Key=f"{MEMBER}/log")
    admin.client("s3").delete_bucket(Bucket="enforced")


def test_keys_by_alias(role: Role, admin: boto3.Session) -> None:
    kms = admin.client("kms")
    ids = {name: kms.create_key()["KeyMetadata"]["KeyId"] for name in ("data", "other")}
    for name, key_id in ids.items():
        kms.create_alias(AliasName=f"alias/enforced/{name}", TargetKeyId=key_id)
    kms.create_alias(AliasName="alias/enforced/more", TargetKeyId=ids["data"])
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/enforced/data"}}
    role.may(allow("kms:Decrypt", f"arn:aws:kms:{REGION}:{MEMBER}:key/*", **condition))
    mine = role.client("kms")
    texts = {name: kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"] for name, key_id in ids.items()}
    for key in (ids["data"], "alias/enforced/data", "alias/enforced/more"):
        assert mine.decrypt(KeyId=key, CiphertextBlob=texts["data"])["Plaintext"] == b"x"
    for key in (ids["other"], "alias/enforced/other"):
        with pytest.raises(ClientError, match="kms:Decrypt"):
            mine.decrypt(KeyId=key, CiphertextBlob=texts["other"])
    with pytest.raises(ClientError, match=r"kms:DescribeKey on resource: .*:key/missing"):
        mine.describe_key(KeyId="alias/enforced/missing")


def test_which_policy_may_be_attached(role: Role, admin: boto3.Session) -> None:
    iam = admin.client("iam")
    arns = [
        iam.create_policy(
            PolicyName=name, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allow("a:b")})
        )["Policy"]["Arn"]
        for name in ("Session", "Other")
    ]
    roles = f"arn:aws:iam::{MEMBER}:role/*"
    protected: dict[str, object] = {
        "Effect": "Deny",
        "Action": "iam:AttachRolePolicy",
        "Resource": f"arn:aws:iam::{MEMBER}:role/aws-reserved/*",
    }
    role.may(allow("iam:AttachRolePolicy", roles, ArnEquals={"iam:PolicyARN": arns[0]}), protected)
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam.create_role(RoleName="reserved", Path="/aws-reserved/", AssumeRolePolicyDocument=trust)
    mine = role.client("iam")
    mine.attach_role_policy(RoleName="app-server", PolicyArn=arns[0])
    for name, arn in (("app-server", arns[1]), ("reserved", arns[0])):
        with pytest.raises(ClientError, match="iam:AttachRolePolicy") as no:
            mine.attach_role_policy(RoleName=name, PolicyArn=arn)
        assert denied(no) == ("AccessDenied", 403)
    iam.detach_role_policy(RoleName="app-server", PolicyArn=arns[0])
    iam.delete_role(RoleName="reserved")
    for arn in arns:
        iam.delete_policy(PolicyArn=arn)


def test_managed_policies_count_with_their_default_version(role: Role, admin: boto3.Session) -> None:
    iam = admin.client("iam")
    nothing, listing = ({"Version": "2012-10-17", "Statement": allow(action)} for action in ("a:b", "iam:ListRoles"))
    arn = iam.create_policy(PolicyName="Listing", PolicyDocument=json.dumps(nothing))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role.name, PolicyArn=arn)
    role.may(allow("a:b"))
    with pytest.raises(ClientError, match="iam:ListRoles"):
        role.client("iam").list_roles()
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(listing), SetAsDefault=True)
    assert role.client("iam").list_roles()["Roles"]
    iam.detach_role_policy(RoleName=role.name, PolicyArn=arn)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)


def test_a_function_may_do_what_its_role_may(enforcing: Sandbox, role: Role, admin: boto3.Session) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(
            "app.py",
            "import boto3\n\ndef handle(event, context):\n    boto3.client('ssm').delete_parameter(Name='/enforced')\n",
        )
    functions, sqs = admin.client("lambda"), admin.client("sqs")
    url = sqs.create_queue(QueueName="failures")["QueueUrl"]
    queue_arn = f"arn:aws:sqs:{REGION}:{MEMBER}:failures"
    functions.create_function(
        FunctionName="enforced",
        Role=role.arn,
        Runtime="python3.13",
        Handler="app.handle",
        Timeout=30,
        Code={"ZipFile": content.getvalue()},
        DeadLetterConfig={"TargetArn": queue_arn},
    )
    functions.put_function_event_invoke_config(FunctionName="enforced", MaximumRetryAttempts=0)
    admin.client("ssm").put_parameter(Name="/enforced", Value="x", Type="String")

    def invoke(kind: InvocationTypeType = "RequestResponse") -> str:
        answer = functions.invoke(FunctionName="enforced", InvocationType=kind)
        enforcing.wait_until_idle()
        return answer["Payload"].read().decode()

    delete = allow("ssm:DeleteParameter", f"arn:aws:ssm:{REGION}:{MEMBER}:parameter/enforced")
    role.may(allow("ssm:GetParameter"))
    assert "not authorized to perform: ssm:DeleteParameter" in invoke()
    invoke("Event")
    assert "Messages" not in sqs.receive_message(QueueUrl=url), "its role may not send"
    role.may(allow("sqs:SendMessage", queue_arn))
    invoke("Event")
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1
    keep_out = {"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue_arn}
    keep_out["Condition"] = {"ArnNotEquals": {"aws:PrincipalArn": role.arn + "-2"}}  # type: ignore[assignment]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [keep_out]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    invoke("Event")
    assert "Messages" not in sqs.receive_message(QueueUrl=url), "the queue keeps it out"
    role.may(delete)
    assert invoke() == "null"
    functions.delete_function(FunctionName="enforced")
    sqs.delete_queue(QueueUrl=url)


def test_an_automation_may_do_what_its_role_may(enforcing: Sandbox, admin: boto3.Session) -> None:
    role = Role(enforcing, admin, "automation", "ssm.amazonaws.com")
    ssm = admin.client("ssm")
    script = "import boto3\n\ndef handle(events, context):\n    boto3.client('iam').get_role(RoleName='app-server')\n"
    inputs = {"Runtime": "python3.11", "Handler": "handle", "Script": script}
    content = {
        "schemaVersion": "0.3",
        "assumeRole": role.arn,
        "mainSteps": [{"name": "Run", "action": "aws:executeScript", "inputs": inputs}],
    }
    ssm.create_document(Name="Enforced", DocumentType="Automation", Content=json.dumps(content))

    def run(client: Any) -> tuple[str, str]:  # noqa: ANN401
        execution_id = client.start_automation_execution(DocumentName="Enforced")["AutomationExecutionId"]
        enforcing.wait_until_idle()
        execution = ssm.get_automation_execution(AutomationExecutionId=execution_id)["AutomationExecution"]
        return execution["AutomationExecutionStatus"], execution.get("FailureMessage", "")

    role.may(allow("iam:ListRoles"))
    status, failure = run(ssm)
    assert status == "Failed"
    assert "not authorized to perform: iam:GetRole" in failure
    role.may(allow("iam:GetRole", f"arn:aws:iam::{MEMBER}:role/app-server"))
    assert run(ssm) == ("Success", "")
    with pytest.raises(
        ClientError, match=r"ssm:StartAutomationExecution on resource: .*:automation-definition/Enforced:"
    ):
        run(role.client("ssm"))
    ssm.delete_document(Name="Enforced")
    role.delete()


def test_without_it_everything_is_allowed(sandbox: Sandbox, member: boto3.Session) -> None:
    powerless = Role(sandbox, member, "powerless")
    assert powerless.client("iam").list_roles()["Roles"]
    member.client("iam").delete_role(RoleName=powerless.name)


SECOND = "640281937466"


@pytest.fixture(scope="module")
def archive(enforcing: Sandbox) -> Iterator[str]:
    """A bucket in another account that every account of the organization may write to, below its own prefix."""
    owner = enforcing.session(SECOND, REGION)
    anyone = {
        "Effect": "Allow",
        "Principal": "*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION.id}},
    }
    key_policy = [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{SECOND}:root"}, "Action": "kms:*", "Resource": "*"},
        {
            **anyone,
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
            "Resource": "*",
            "Condition": {
                "StringEquals": {
                    "aws:PrincipalOrgID": ORGANIZATION.id,
                    "kms:ViaService": f"s3.{REGION}.amazonaws.com",
                    "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::archive",
                }
            },
        },
    ]
    key = owner.client("kms").create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": key_policy}))
    arn = key["KeyMetadata"]["Arn"]
    s3 = owner.client("s3")
    s3.create_bucket(Bucket="archive")
    s3.put_bucket_encryption(
        Bucket="archive",
        ServerSideEncryptionConfiguration={
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn},
                    "BucketKeyEnabled": True,
                }
            ]
        },
    )
    statements = [
        {**anyone, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::archive/logs/${aws:PrincipalAccount}/*"},
        {**anyone, "Action": "s3:GetEncryptionConfiguration", "Resource": "arn:aws:s3:::archive"},
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::archive", "arn:aws:s3:::archive/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
    s3.put_bucket_policy(Bucket="archive", Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    yield arn
    s3.delete_bucket_policy(Bucket="archive")


def test_a_bucket_of_another_account_needs_both_sides(role: Role, archive: str) -> None:
    via_s3 = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
    use_key = allow("kms:GenerateDataKey", archive, StringEquals=via_s3)
    role.may(allow(["s3:PutObject", "s3:GetEncryptionConfiguration"], "arn:aws:s3:::archive*"), use_key)
    s3 = role.client("s3")
    assert s3.get_bucket_encryption(Bucket="archive")
    s3.put_object(Bucket="archive", Key=f"logs/{MEMBER}/session.log", Body=b"log")
    for key in (f"logs/{SECOND}/session.log", "session.log"):
        with pytest.raises(ClientError, match="no policy on both sides") as no:
            s3.put_object(Bucket="archive", Key=key, Body=b"log")
        assert denied(no) == ("AccessDenied", 403)


def test_what_s3_encrypts_needs_the_key(role: Role, archive: str) -> None:
    role.may(allow("s3:PutObject", "arn:aws:s3:::archive/*"))
    with pytest.raises(ClientError, match="kms:GenerateDataKey on resource") as no:
        role.client("s3").put_object(Bucket="archive", Key=f"logs/{MEMBER}/session.log", Body=b"log")
    assert denied(no) == ("AccessDenied", 403)
    # The key policy allows use through S3 only, not direct calls of KMS.
    role.may(allow("kms:GenerateDataKey", archive))
    with pytest.raises(ClientError, match="no policy on both sides"):
        role.client("kms").generate_data_key(KeyId=archive, KeySpec="AES_256")


@pytest.mark.usefixtures("archive")
def test_an_account_outside_the_organization_is_refused(enforcing: Sandbox) -> None:
    s3 = enforcing.outsider_session(REGION).client("s3")
    account_id = enforcing.outsider_session(REGION).client("sts").get_caller_identity()["Account"]
    with pytest.raises(ClientError) as no:
        s3.put_object(Bucket="archive", Key=f"logs/{account_id}/session.log", Body=b"log")
    assert denied(no) == ("AccessDenied", 403)


def test_a_key_that_does_not_name_the_account_is_closed_to_its_roles(role: Role, admin: boto3.Session) -> None:
    closed = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{MEMBER}:role/{ORGANIZATION.deployment_role}"},
        "Action": "kms:*",
        "Resource": "*",
    }
    kms = admin.client("kms")
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [closed]}))["KeyMetadata"]["Arn"]
    role.may(allow("kms:GenerateDataKey", key))
    with pytest.raises(ClientError, match="the policy of the key does not allow it"):
        role.client("kms").generate_data_key(KeyId=key, KeySpec="AES_256")
    assert kms.generate_data_key(KeyId=key, KeySpec="AES_256")


def test_names_of_buckets_are_taken_worldwide(enforcing: Sandbox, admin: boto3.Session) -> None:
    other = enforcing.session(SECOND, REGION)
    other.client("s3").create_bucket(Bucket="taken-by-another")
    with pytest.raises(ClientError) as taken:
        admin.client("s3").create_bucket(Bucket="taken-by-another")
    assert taken.value.response["Error"]["Code"] == "BucketAlreadyExists"
    buckets = [
        {"type": "aws_s3_bucket", "change": {"actions": ["create"], "after": {"bucket": name}}}
        for name in ("free-until-now", "taken-by-another")
    ]
    for place, message in (
        (Place(MEMBER, REGION, lambda: admin), "taken-by-another already exists in another account"),
        (Place(SECOND, REGION, lambda: other), "taken-by-another already exists, but not in this Terraform state"),
    ):
        ((problem,), _) = examine({"resource_changes": buckets}, place)
        assert message in problem.message
    other.client("s3").delete_bucket(Bucket="taken-by-another")
