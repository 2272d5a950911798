import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox

DOCUMENT = "SSM-SessionManagerRunShell"


def test_state_bucket_is_versioned_encrypted_and_closed(sandbox: Sandbox) -> None:
    assert sandbox.state_bucket == "session-manager-state-380917246553"
    s3 = sandbox.session("380917246553", "eu-west-1").client("s3")
    assert s3.get_bucket_versioning(Bucket=sandbox.state_bucket)["Status"] == "Enabled"
    assert s3.get_bucket_location(Bucket=sandbox.state_bucket)["LocationConstraint"] == "eu-west-1"
    rules = s3.get_bucket_encryption(Bucket=sandbox.state_bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert all(s3.get_public_access_block(Bucket=sandbox.state_bucket)["PublicAccessBlockConfiguration"].values())


def test_only_one_of_many_writers_gets_the_lock(sandbox: Sandbox) -> None:
    s3 = sandbox.session("380917246553", "eu-west-1").client("s3")

    def lock(writer: int) -> str:
        try:
            s3.put_object(Bucket=sandbox.state_bucket, Key="race.tflock", Body=str(writer).encode(), IfNoneMatch="*")
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "written"

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(lock, range(24)))
    assert outcomes == ["PreconditionFailed"] * 23 + ["written"]
    s3.delete_object(Bucket=sandbox.state_bucket, Key="race.tflock")


def test_members_have_roles_and_a_recorder(sandbox: Sandbox) -> None:
    for account in sandbox.organization.members:
        session = sandbox.session(account.id, sandbox.organization.home_region)
        iam, config = session.client("iam"), session.client("config")
        profile = iam.get_instance_profile(InstanceProfileName="app-server")["InstanceProfile"]
        assert [role["RoleName"] for role in profile["Roles"]] == ["app-server"]
        assert iam.list_attached_role_policies(RoleName="app-server")["AttachedPolicies"] == []
        trust = json.dumps(iam.get_role(RoleName="report-function")["Role"]["AssumeRolePolicyDocument"])
        assert "lambda.amazonaws.com" in trust
        (recorder,) = config.describe_configuration_recorders()["ConfigurationRecorders"]
        assert recorder["recordingGroup"]["resourceTypes"] == ["AWS::IAM::Role"]
        (status,) = config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
        assert status["recording"] is True


def test_elsewhere_nothing_is_recorded(sandbox: Sandbox) -> None:
    config = sandbox.session(sandbox.organization.members[0].id, "us-east-1").client("config")
    assert config.describe_configuration_recorders()["ConfigurationRecorders"] == []


def test_only_the_legacy_account_has_the_policy(sandbox: Sandbox) -> None:
    with_policy = {}
    for account in sandbox.organization.members:
        iam = sandbox.session(account.id, "eu-west-1").client("iam")
        for policy in iam.list_policies(Scope="Local")["Policies"]:
            if policy["PolicyName"] == "SessionManagerLogPolicy":
                attached = iam.list_attached_role_policies(RoleName="legacy-app-server")["AttachedPolicies"]
                assert [found["PolicyArn"] for found in attached] == [policy["Arn"]]
                with_policy[account.id] = policy["Arn"]
    assert list(with_policy) == [sandbox.seed_data.legacy]


def test_only_two_accounts_have_a_document(sandbox: Sandbox) -> None:
    documents = {}
    for account in sandbox.organization.active_accounts:
        ssm = sandbox.session(account.id, "eu-west-1").client("ssm")
        own = ssm.list_documents(Filters=[{"Key": "Owner", "Values": ["Self"]}])["DocumentIdentifiers"]
        if DOCUMENT in [document["Name"] for document in own]:
            documents[account.id] = ssm.describe_document(Name=DOCUMENT)["Document"]
    assert set(documents) == {sandbox.seed_data.foreign_document, sandbox.seed_data.moved_default}
    moved = documents[str(sandbox.seed_data.moved_default)]
    assert (moved["DefaultVersion"], moved["LatestVersion"]) == ("1", "2")
    foreign = documents[str(sandbox.seed_data.foreign_document)]
    assert (foreign["DefaultVersion"], foreign["LatestVersion"]) == ("1", "1")
    ssm = sandbox.session(str(sandbox.seed_data.foreign_document), "eu-west-1").client("ssm")
    inputs = json.loads(ssm.get_document(Name=DOCUMENT)["Content"])["inputs"]
    assert inputs["s3BucketName"] == "webshop-session-logs"
    assert inputs["idleSessionTimeout"] == "60"


@pytest.mark.parametrize("region", ["us-east-1"])
def test_documents_are_in_the_home_region_only(sandbox: Sandbox, region: str) -> None:
    for account_id in (sandbox.seed_data.foreign_document, sandbox.seed_data.moved_default):
        ssm = sandbox.session(str(account_id), region).client("ssm")
        with pytest.raises(ClientError, match="InvalidDocument"):
            ssm.describe_document(Name=DOCUMENT)
