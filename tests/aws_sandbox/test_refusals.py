"""What AWS refuses and moto lets pass, one service after the other; docs/sandbox.md has the sources."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox

TRUST = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def reading(characters: int) -> str:
    """Return an identity policy with at least this many characters."""
    return policy({"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{'b' * characters}"})


def refused(client: Any, operation: str, **parameters: Any) -> str:  # noqa: ANN401 - of any service
    """Return the error code of a call."""
    with pytest.raises(ClientError) as failure:
        getattr(client, operation)(**parameters)
    return str(failure.value.response["Error"]["Code"])


@pytest.fixture
def account_id(sandbox: Sandbox) -> str:
    return sandbox.organization.members[0].id


class TestOrganizations:
    @pytest.fixture
    def organizations(self, sandbox: Sandbox) -> Any:  # noqa: ANN401
        return sandbox.session(sandbox.organization.management_account_id, "eu-west-1").client("organizations")

    @pytest.fixture
    def make_policy(self, organizations: Any) -> Iterator[Any]:  # noqa: ANN401
        made: list[str] = []

        def make(content: str = reading(1)) -> str:
            created = organizations.create_policy(
                Name=f"policy-{len(made)}", Description="A policy", Type="SERVICE_CONTROL_POLICY", Content=content
            )
            made.append(created["Policy"]["PolicySummary"]["Id"])
            return made[-1]

        yield make
        for policy_id in made:
            for target in organizations.list_targets_for_policy(PolicyId=policy_id)["Targets"]:
                organizations.detach_policy(PolicyId=policy_id, TargetId=target["TargetId"])
            organizations.delete_policy(PolicyId=policy_id)

    def test_length_and_form(self, organizations: Any, make_policy: Any) -> None:  # noqa: ANN401
        policy_id = make_policy(reading(10_240 - len(reading(0))))
        too_long = reading(10_241 - len(reading(0)))
        assert refused(organizations, "update_policy", PolicyId=policy_id, Content=too_long) == (
            "ConstraintViolationException"
        )
        create = {"Name": "other", "Description": "", "Type": "SERVICE_CONTROL_POLICY"}
        assert refused(organizations, "create_policy", Content=too_long, **create) == "ConstraintViolationException"
        assert refused(organizations, "create_policy", Content="{", **create) == "MalformedPolicyDocumentException"

    def test_number_of_attachments(self, organizations: Any, make_policy: Any, account_id: str) -> None:  # noqa: ANN401
        policies = [make_policy() for _ in range(10)]
        # FullAWSAccess is attached, too.
        for policy_id in policies[:-1]:
            organizations.attach_policy(PolicyId=policy_id, TargetId=account_id)
        again = {"PolicyId": policies[0], "TargetId": account_id}
        assert refused(organizations, "attach_policy", **again) == "DuplicatePolicyAttachmentException"
        one_more = {"PolicyId": policies[-1], "TargetId": account_id}
        assert refused(organizations, "attach_policy", **one_more) == "ConstraintViolationException"
        assert refused(organizations, "detach_policy", **one_more) == "PolicyNotAttachedException"

    def test_the_last_policy_stays(self, organizations: Any, account_id: str) -> None:  # noqa: ANN401
        last = {"PolicyId": "p-FullAWSAccess", "TargetId": account_id}
        assert refused(organizations, "detach_policy", **last) == "ConstraintViolationException"

    def test_the_type_must_be_enabled(self, organizations: Any, make_policy: Any, account_id: str) -> None:  # noqa: ANN401
        policy_id = make_policy()
        root = {"RootId": organizations.list_roots()["Roots"][0]["Id"], "PolicyType": "SERVICE_CONTROL_POLICY"}
        organizations.disable_policy_type(**root)
        code = refused(organizations, "attach_policy", PolicyId=policy_id, TargetId=account_id)
        organizations.enable_policy_type(**root)
        assert code == "PolicyTypeNotEnabledException"
        organizations.attach_policy(PolicyId=policy_id, TargetId=account_id)


def test_a_rule_of_config_needs_a_recorder(sandbox: Sandbox, account_id: str) -> None:
    rule = {
        "ConfigRuleName": "versioned",
        "Source": {"Owner": "AWS", "SourceIdentifier": "S3_BUCKET_VERSIONING_ENABLED"},
    }
    elsewhere = sandbox.session(account_id, "us-east-1").client("config")
    assert refused(elsewhere, "put_config_rule", ConfigRule=rule) == "NoAvailableConfigurationRecorderException"
    home = sandbox.session(account_id, "eu-west-1").client("config")
    home.put_config_rule(ConfigRule=rule)  # type: ignore[arg-type]
    home.delete_config_rule(ConfigRuleName="versioned")


class TestEvents:
    @pytest.mark.parametrize(
        ("schedule", "valid"),
        [
            ("rate(1 hour)", True),
            ("rate(2 hours)", True),
            ("cron(0 6 * * ? *)", True),
            ("rate(1 hours)", False),
            ("rate(2 hour)", False),
            ("rate(0 hours)", False),
            ("cron(0 6 * * * *)", False),
            ("cron(0 6 * * ?)", False),
            ("every hour", False),
        ],
    )
    def test_schedules(self, member: boto3.Session, schedule: str, *, valid: bool) -> None:
        events = member.client("events")
        if valid:
            events.put_rule(Name="scheduled", ScheduleExpression=schedule)
            events.delete_rule(Name="scheduled")
        else:
            assert refused(events, "put_rule", Name="scheduled", ScheduleExpression=schedule) == "ValidationException"

    def test_targets_of_a_rule(self, member: boto3.Session, account_id: str) -> None:
        events = member.client("events")
        events.put_rule(Name="busy", ScheduleExpression="rate(1 day)", State="DISABLED")
        targets = [{"Id": str(n), "Arn": f"arn:aws:sqs:eu-west-1:{account_id}:q{n}"} for n in range(6)]
        events.put_targets(Rule="busy", Targets=targets[:5])
        assert refused(events, "put_targets", Rule="busy", Targets=targets[5:]) == "LimitExceededException"
        events.put_targets(Rule="busy", Targets=targets[4:5])
        events.remove_targets(Rule="busy", Ids=[str(n) for n in range(5)])
        events.delete_rule(Name="busy")


class TestIam:
    def test_sizes(self, member: boto3.Session) -> None:
        iam = member.client("iam")
        assert refused(iam, "create_policy", PolicyName="long", PolicyDocument=reading(6144)) == "LimitExceeded"
        many = [TRUST | {"Sid": f"s{n:040}"} for n in range(20)]
        assert refused(iam, "create_role", RoleName="long", AssumeRolePolicyDocument=policy(*many)) == "LimitExceeded"
        iam.create_role(RoleName="sized", AssumeRolePolicyDocument=policy(TRUST))
        # White space does not count.
        iam.put_role_policy(RoleName="sized", PolicyName="first", PolicyDocument=reading(5000) + " " * 9000)
        second = {"RoleName": "sized", "PolicyName": "second", "PolicyDocument": reading(5100)}
        assert refused(iam, "put_role_policy", **second) == "LimitExceeded"
        iam.delete_role_policy(RoleName="sized", PolicyName="first")
        iam.delete_role(RoleName="sized")

    def test_who_is_trusted_exists(self, member: boto3.Session, account_id: str) -> None:
        iam = member.client("iam")

        def trusting(arn: str) -> str:
            return policy({"Effect": "Allow", "Principal": {"AWS": [arn]}, "Action": "sts:AssumeRole"})

        missing = trusting(f"arn:aws:iam::{account_id}:role/missing")
        assert refused(iam, "create_role", RoleName="trusting", AssumeRolePolicyDocument=missing) == (
            "MalformedPolicyDocument"
        )
        for known in (f"arn:aws:iam::{account_id}:role/app-server", "arn:aws:iam::111122223333:role/any", account_id):
            iam.create_role(RoleName="trusting", AssumeRolePolicyDocument=trusting(known))
            iam.delete_role(RoleName="trusting")


class TestKms:
    @pytest.fixture
    def key(self, member: boto3.Session) -> str:
        return member.client("kms").create_key()["KeyMetadata"]["KeyId"]

    def test_a_key_that_is_going_is_of_no_use(self, member: boto3.Session, key: str) -> None:
        kms = member.client("kms")
        assert refused(kms, "schedule_key_deletion", KeyId=key, PendingWindowInDays=6) == "ValidationException"
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        for operation, parameters in (
            ("encrypt", {"Plaintext": b"text"}),
            ("generate_data_key", {"KeySpec": "AES_256"}),
            ("enable_key_rotation", {}),
            ("tag_resource", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
            ("schedule_key_deletion", {}),
        ):
            assert refused(kms, operation, KeyId=key, **parameters) == "KMSInvalidStateException"
        alias = {"AliasName": "alias/going", "TargetKeyId": key}
        assert refused(kms, "create_alias", **alias) == "KMSInvalidStateException"
        kms.describe_key(KeyId=key)
        kms.cancel_key_deletion(KeyId=key)
        # Its deletion is cancelled, but it is still disabled.
        assert refused(kms, "encrypt", KeyId=key, Plaintext=b"text") == "DisabledException"
        kms.enable_key(KeyId=key)
        kms.encrypt(KeyId=key, Plaintext=b"text")

    def test_aliases(self, member: boto3.Session, key: str) -> None:
        kms = member.client("kms")
        reserved = {"AliasName": "alias/aws/mine", "TargetKeyId": key}
        assert refused(kms, "create_alias", **reserved) == "NotAuthorizedException"
        for number in range(50):
            kms.create_alias(AliasName=f"alias/number-{number}", TargetKeyId=key)
        one_more = {"AliasName": "alias/number-50", "TargetKeyId": key}
        assert refused(kms, "create_alias", **one_more) == "LimitExceededException"
        for number in range(50):
            kms.delete_alias(AliasName=f"alias/number-{number}")

    def test_policies(self, member: boto3.Session, key: str, account_id: str) -> None:
        kms = member.client("kms")

        def put(arn: str, action: str = "kms:*") -> dict[str, str]:
            statement = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": action, "Resource": "*"}
            return {"KeyId": key, "PolicyName": "default", "Policy": policy(statement)}

        role = f"arn:aws:iam::{account_id}:role/"
        kms.put_key_policy(**put(f"arn:aws:iam::{account_id}:root"))  # type: ignore[arg-type]
        kms.put_key_policy(**put(role + "AWSControlTowerExecution"))  # type: ignore[arg-type]
        for lockout in (put(role + "app-server"), put(f"arn:aws:iam::{account_id}:root", "kms:Decrypt")):
            assert refused(kms, "put_key_policy", **lockout) == "MalformedPolicyDocumentException"
        assert refused(kms, "put_key_policy", **put(role + "missing")) == "MalformedPolicyDocumentException"


class TestLambda:
    def test_variables_and_packages(self, member: boto3.Session, account_id: str) -> None:
        functions, content = member.client("lambda"), io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("large", bytes(1024**2))
        create: dict[str, Any] = {
            "FunctionName": "limited",
            "Role": f"arn:aws:iam::{account_id}:role/report-function",
            "Runtime": "python3.13",
            "Handler": "app.handle",
            "Code": {"ZipFile": content.getvalue()},
        }
        for variables in ({"NAME": "v" * 4096}, {"AWS_REGION": "eu-west-1"}):
            assert refused(functions, "create_function", **create, Environment={"Variables": variables}) == (
                "InvalidParameterValueException"
            )
        broken = create | {"Code": {"ZipFile": b"no archive"}}
        assert refused(functions, "create_function", **broken) == "InvalidParameterValueException"
        other_role = create | {"Role": f"arn:aws:iam::{account_id}:role/app-server"}
        assert refused(functions, "create_function", **other_role) == "InvalidParameterValueException"

    def test_events_and_reservations(self, member: boto3.Session, make_function: Any) -> None:  # noqa: ANN401
        functions, name = member.client("lambda"), make_function("def handle(event, context):\n    return 1")
        event = {"FunctionName": name, "InvocationType": "Event"}
        assert refused(functions, "invoke", **event, Payload=b'"' + b"e" * 1024**2 + b'"') == "RequestTooLargeException"
        sync = b'"' + b"e" * (6 * 1024**2) + b'"'
        assert refused(functions, "invoke", FunctionName=name, Payload=sync) == "RequestTooLargeException"
        reservation = {"FunctionName": name, "ReservedConcurrentExecutions": 901}
        assert refused(functions, "put_function_concurrency", **reservation) == "InvalidParameterValueException"


def test_retention_of_log_groups(member: boto3.Session) -> None:
    logs = member.client("logs")
    logs.create_log_group(logGroupName="retained")
    assert refused(logs, "put_retention_policy", logGroupName="retained", retentionInDays=91) == (
        "InvalidParameterException"
    )
    logs.put_retention_policy(logGroupName="retained", retentionInDays=90)
    logs.delete_log_group(logGroupName="retained")


def test_principals_of_bucket_policies_exist(member: boto3.Session, account_id: str) -> None:
    s3, name = member.client("s3"), "policy-of-principals"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account_id}:role/missing"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{name}/*",
    }
    assert refused(s3, "put_bucket_policy", Bucket=name, Policy=policy(statement)) == "MalformedPolicy"
    s3.delete_bucket(Bucket=name)


class TestSsm:
    def test_parameters(self, member: boto3.Session) -> None:
        ssm = member.client("ssm")
        put: dict[str, Any] = {"Name": "/limits/tier", "Type": "String"}
        assert refused(ssm, "put_parameter", **put, Value="v" * 4097) == "ValidationException"
        assert refused(ssm, "put_parameter", **put, Value="v" * 8193, Tier="Advanced") == "ValidationException"
        ssm.put_parameter(**put, Value="v" * 4097, Tier="Intelligent-Tiering")
        lower = put | {"Value": "v", "Tier": "Standard", "Overwrite": True}
        assert refused(ssm, "put_parameter", **put, Value="v", Overwrite=True, Tags=[{"Key": "a", "Value": "b"}]) == (
            "ValidationException"
        )
        ssm.delete_parameter(Name="/limits/tier")
        ssm.put_parameter(**put, Value="v", Tier="Advanced")
        assert refused(ssm, "put_parameter", **lower) == "ValidationException"
        ssm.delete_parameter(Name="/limits/tier")

    def test_documents(self, member: boto3.Session) -> None:
        ssm = member.client("ssm")

        def content(description: str) -> str:
            document = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": {}}
            return json.dumps(document | {"description": description})

        ssm.create_document(Name="limited", DocumentType="Session", Content=content("first"))
        update: dict[str, Any] = {"Name": "limited", "DocumentVersion": "$LATEST"}
        assert refused(ssm, "update_document", **update, Content=content("d" * 65_536)) == "MaxDocumentSizeExceeded"
        assert refused(ssm, "update_document", **update, Content=content("first")) == "DuplicateDocumentContent"
        ssm.modify_document_permission(Name="limited", PermissionType="Share", AccountIdsToAdd=["111122223333"])
        assert refused(ssm, "delete_document", Name="limited") == "InvalidDocumentOperation"
        ssm.modify_document_permission(Name="limited", PermissionType="Share", AccountIdsToRemove=["111122223333"])
        ssm.delete_document(Name="limited")


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "codes"),
    [
        (
            "iam",
            "create_policy",
            {"PolicyName": "p", "PolicyDocument": reading(1)},
            ("InvalidInput", "ValidationError"),
        ),
        (
            "ssm",
            "put_parameter",
            {"Name": "p", "Type": "String", "Value": "v"},
            ("ValidationException", "TooManyTagsError"),
        ),
        ("s3", "put_bucket_tagging", {"Bucket": "any-bucket"}, ("InvalidTag", "InvalidTag")),
        ("logs", "create_log_group", {"logGroupName": "g"}, ("InvalidParameterException", "InvalidParameterException")),
        ("sqs", "create_queue", {"QueueName": "q"}, ("InvalidParameterValue", "InvalidParameterValue")),
        ("kms", "create_key", {}, ("TagException", "LimitExceededException")),
    ],
)
def test_tags(
    member: boto3.Session, service: str, operation: str, parameters: dict[str, Any], codes: tuple[str, str]
) -> None:
    client = member.client(service)  # type: ignore[call-overload]

    def tagged(tags: dict[str, str]) -> dict[str, Any]:
        key, value = ("TagKey", "TagValue") if service == "kms" else ("Key", "Value")
        pairs = [{key: name, value: text} for name, text in tags.items()]
        if service == "s3":
            return parameters | {"Tagging": {"TagSet": pairs}}
        return parameters | ({"tags": tags} if service in {"logs", "sqs"} else {"Tags": pairs})

    reserved, too_many = codes
    assert refused(client, operation, **tagged({"AWS:owner": "team"})) == reserved
    assert refused(client, operation, **tagged({f"key-{n}": "value" for n in range(51)})) == too_many
    with pytest.raises(ClientError):
        getattr(client, operation)(**tagged({"owner": "team <team@example.com>"}))
