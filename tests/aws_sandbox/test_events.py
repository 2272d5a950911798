"""Events from the API call to the target; functions write what they get into parameters."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from aws_sandbox import Sandbox, SandboxError

REGION = "eu-west-1"
PATTERN = {
    "source": ["aws.ssm"],
    "detail-type": ["AWS API Call via CloudTrail"],
    "detail": {
        "eventSource": ["ssm.amazonaws.com"],
        "eventName": [
            "CreateDocument",
            "UpdateDocument",
            "DeleteDocument",
            "UpdateDocumentDefaultVersion",
            "ModifyDocumentPermission",
        ],
        "requestParameters": {"name": [{"prefix": "Watched"}]},
    },
}


def content(text: str) -> str:
    return json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream", "description": text, "inputs": {}})


class Place:
    """An account and region with a queue and rules that are gone afterwards."""

    def __init__(self, session: boto3.Session) -> None:
        self.session = session
        self.account = session.client("sts").get_caller_identity()["Account"]
        self.events = session.client("events")
        self.ssm = session.client("ssm")
        self.sqs = session.client("sqs")
        self.queue_url = self.sqs.create_queue(QueueName=f"events-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        self.queue_arn = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"]
        self.rules: list[str] = []

    def let_into_queue(self, source_arn: str = "*", service: str = "events.amazonaws.com") -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": self.queue_arn,
            "Condition": {"ArnLike": {"aws:SourceArn": source_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes={"Policy": policy})

    def rule(self, target: dict[str, Any], pattern: object = None, **settings: str) -> str:
        name = f"rule-{uuid.uuid4().hex[:8]}"
        if "ScheduleExpression" not in settings:
            settings["EventPattern"] = json.dumps(pattern or PATTERN)
        arn: str = self.events.put_rule(Name=name, **settings)["RuleArn"]
        self.rules.append(name)
        self.events.put_targets(Rule=name, Targets=[{"Id": "target", **target}])
        return arn

    def messages(self) -> list[dict[str, Any]]:
        received = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", [])
        for message in received:
            self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [dict(message) for message in received]

    def bodies(self) -> list[Any]:
        return [json.loads(message["Body"]) for message in self.messages()]

    def document(self, name: str = "Watched") -> None:
        self.ssm.create_document(Name=name, DocumentType="Session", Content=content("first"))

    def clean(self) -> None:
        for name in self.rules:
            self.events.remove_targets(Rule=name, Ids=["target"])
            self.events.delete_rule(Name=name)
        self.sqs.delete_queue(QueueUrl=self.queue_url)
        for document in self.ssm.list_documents(Filters=[{"Key": "Owner", "Values": ["Self"]}])["DocumentIdentifiers"]:
            if "Watched" in document["Name"]:
                self.ssm.delete_document(Name=document["Name"])


@pytest.fixture
def place(sandbox: Sandbox, member: boto3.Session) -> Iterator[Place]:
    here = Place(member)
    yield here
    here.clean()
    sandbox.wait_until_idle()


def test_the_event_of_an_api_call(sandbox: Sandbox, place: Place) -> None:
    place.let_into_queue()
    place.rule({"Arn": place.queue_arn})
    place.document()
    sandbox.wait_until_idle()
    (event,) = place.bodies()
    detail = event.pop("detail")
    assert event.pop("id")
    assert event.pop("time") == detail["eventTime"]
    assert event == {
        "version": "0",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ssm",
        "account": place.account,
        "region": REGION,
        "resources": [],
    }
    assert detail["eventSource"] == "ssm.amazonaws.com"
    assert (detail["eventName"], detail["awsRegion"]) == ("CreateDocument", REGION)
    assert detail["requestParameters"] == {"name": "Watched", "documentType": "Session", "content": content("first")}
    assert detail["responseElements"]["documentDescription"]["documentVersion"] == "1"
    role = place.session.client("iam").get_role(RoleName="AWSControlTowerExecution")["Role"]
    identity = detail["userIdentity"]
    issuer = identity.pop("sessionContext")["sessionIssuer"]
    assert identity.pop("accessKeyId").startswith("ASIA")
    assert identity == {
        "type": "AssumedRole",
        "principalId": f"{role['RoleId']}:sandbox",
        "arn": f"arn:aws:sts::{place.account}:assumed-role/AWSControlTowerExecution/sandbox",
        "accountId": place.account,
    }
    assert issuer == {
        "type": "Role",
        "principalId": role["RoleId"],
        "arn": role["Arn"],
        "accountId": place.account,
        "userName": "AWSControlTowerExecution",
    }


def test_a_user_has_no_session(sandbox: Sandbox) -> None:
    environment = sandbox.environment()
    session = boto3.Session(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], region_name=REGION)
    as_user = session.client("ssm", endpoint_url=sandbox.endpoint_url)
    here = Place(sandbox.session(sandbox.organization.management_account_id, REGION))
    here.let_into_queue()
    here.rule({"Arn": here.queue_arn})
    as_user.create_document(Name="Watched", DocumentType="Session", Content=content("by a user"))
    sandbox.wait_until_idle()
    (event,) = here.bodies()
    identity = event["detail"]["userIdentity"]
    assert (identity["type"], identity["userName"]) == ("IAMUser", "sandbox-administrator")
    assert "sessionContext" not in identity
    here.clean()


def test_every_write_and_nothing_else(sandbox: Sandbox, place: Place) -> None:
    place.let_into_queue()
    place.rule({"Arn": place.queue_arn, "InputPath": "$.detail.eventName"})
    place.document()
    place.ssm.get_document(Name="Watched")
    place.ssm.update_document(Name="Watched", Content=content("second"), DocumentVersion="$LATEST")
    place.ssm.update_document_default_version(Name="Watched", DocumentVersion="2")
    for change in ("AccountIdsToAdd", "AccountIdsToRemove"):
        place.ssm.modify_document_permission(Name="Watched", PermissionType="Share", **{change: ["all"]})  # type: ignore[arg-type]
    with pytest.raises(place.ssm.exceptions.DuplicateDocumentContent):
        place.ssm.update_document(Name="Watched", Content=content("second"), DocumentVersion="$LATEST")
    place.ssm.delete_document(Name="Watched")
    place.document("Other")
    place.ssm.delete_document(Name="Other")
    sandbox.wait_until_idle()
    assert sorted(place.bodies()) == [
        "CreateDocument",
        "DeleteDocument",
        "ModifyDocumentPermission",
        "ModifyDocumentPermission",
        "UpdateDocument",
        "UpdateDocumentDefaultVersion",
    ]


@pytest.mark.parametrize(
    ("narrowed", "matches"),
    [
        ({"userIdentity": {"arn": [{"anything-but": {"prefix": "arn:aws:sts::"}}]}}, False),
        ({"userIdentity": {"arn": [{"anything-but": {"suffix": "/somebody"}}]}}, True),
        ({"userIdentity": {"arn": [{"anything-but": {"wildcard": "*:assumed-role/AWSControlTower*/*"}}]}}, False),
        ({"userIdentity": {"sessionContext": {"sessionIssuer": {"userName": [{"anything-but": ["Me"]}]}}}}, True),
        (
            {
                "userIdentity": {
                    "sessionContext": {"sessionIssuer": {"userName": [{"anything-but": ["AWSControlTowerExecution"]}]}}
                }
            },
            False,
        ),
        ({"errorCode": [{"exists": False}]}, True),
        ({"errorCode": [{"exists": True}]}, False),
        ({"readOnly": [False]}, True),
        ({"eventName": [{"suffix": "Document"}]}, True),
        ({"eventName": [{"equals-ignore-case": "createdocument"}]}, True),
        ({"$or": [{"eventName": ["Nothing"]}, {"awsRegion": [REGION]}]}, True),
        ({"awsRegion": ["us-east-1"]}, False),
    ],
)
def test_patterns(sandbox: Sandbox, place: Place, narrowed: dict[str, Any], matches: bool) -> None:
    place.let_into_queue()
    place.rule({"Arn": place.queue_arn}, {**PATTERN, "detail": {**PATTERN["detail"], **narrowed}})  # type: ignore[dict-item]
    place.document()
    sandbox.wait_until_idle()
    assert len(place.messages()) == int(matches)


def test_a_disabled_rule_delivers_nothing(sandbox: Sandbox, place: Place) -> None:
    place.let_into_queue()
    place.rule({"Arn": place.queue_arn}, State="DISABLED")
    place.rule({"Arn": place.queue_arn}, ScheduleExpression="rate(1 day)", State="DISABLED")
    place.document()
    assert sandbox.fire_schedules(place.account, REGION) == 0
    sandbox.wait_until_idle()
    assert place.messages() == []


def test_schedules(sandbox: Sandbox, place: Place) -> None:
    place.let_into_queue()
    arn = place.rule({"Arn": place.queue_arn}, ScheduleExpression="rate(1 day)")
    place.document()
    sandbox.wait_until_idle()
    assert place.messages() == []
    assert sandbox.fire_schedules(place.account, REGION) == 1
    assert sandbox.fire_schedules(place.account, "us-east-1") == 0
    sandbox.wait_until_idle()
    (event,) = place.bodies()
    assert event["source"] == "aws.events"
    assert (event["detail-type"], event["resources"], event["detail"]) == ("Scheduled Event", [arn], {})


def test_a_queue_lets_in_only_whom_its_policy_names(sandbox: Sandbox, place: Place) -> None:
    place.rule({"Arn": place.queue_arn})
    place.document()
    place.let_into_queue("arn:aws:events:*:*:rule/another")
    place.document("Watched-2")
    sandbox.wait_until_idle()
    assert place.messages() == []
    assert "does not allow events.amazonaws.com" in (sandbox.folder / "server.log").read_text()


def test_a_topic_passes_on(sandbox: Sandbox, place: Place) -> None:
    sns = place.session.client("sns")
    topic = sns.create_topic(Name="watchers")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=place.queue_arn)
    place.let_into_queue(topic, "sns.amazonaws.com")
    arn = place.rule({"Arn": topic, "InputPath": "$.detail.requestParameters.name"})
    place.document()
    sandbox.wait_until_idle()
    assert place.messages() == [], "the policy of a new topic names the account only"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"ArnEquals": {"aws:SourceArn": arn}, "StringEquals": {"aws:SourceAccount": place.account}},
    }
    sns.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    place.document("Watched-2")
    sandbox.wait_until_idle()
    (notification,) = place.bodies()
    assert (notification["TopicArn"], json.loads(notification["Message"])) == (topic, "Watched-2")
    sns.delete_topic(TopicArn=topic)


WRITE = """
import json
import boto3

def handle(event, context):
    ssm = boto3.client("ssm")
    ssm.put_parameter(Name="/events/last", Value=json.dumps(event), Type="String", Overwrite=True)
"""


def received(place: Place) -> object:
    found = place.ssm.get_parameters(Names=["/events/last"])["Parameters"]
    if not found:
        return None
    place.ssm.delete_parameter(Name="/events/last")
    return json.loads(found[0]["Value"])


def test_a_function_needs_the_permission_of_the_rule(
    sandbox: Sandbox, place: Place, make_function: Callable[..., str]
) -> None:
    functions = place.session.client("lambda")
    name = make_function(WRITE, Timeout=30)
    template = '{"action": "reconcile", "document": <name>, "by": <by>}'
    paths = {"name": "$.detail.requestParameters.name", "by": "$.detail.userIdentity.arn"}
    arn = place.rule(
        {
            "Arn": functions.get_function_configuration(FunctionName=name)["FunctionArn"],
            "InputTransformer": {"InputPathsMap": paths, "InputTemplate": template},
            "DeadLetterConfig": {"Arn": place.queue_arn},
        }
    )
    place.let_into_queue(arn)

    def permit(sid: str, source_arn: str) -> None:
        functions.add_permission(
            FunctionName=name,
            StatementId=sid,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=source_arn,
        )

    permit("another", arn + "-2")
    place.document()
    sandbox.wait_until_idle()
    assert received(place) is None
    (undelivered,) = place.messages()
    assert json.loads(undelivered["Body"])["detail"]["eventName"] == "CreateDocument"
    attributes = {key: value["StringValue"] for key, value in undelivered["MessageAttributes"].items()}
    assert (attributes["RULE_ARN"], attributes["ERROR_CODE"]) == (arn, "NO_PERMISSIONS")

    permit("this", arn)
    place.ssm.update_document(Name="Watched", Content=content("second"), DocumentVersion="$LATEST")
    sandbox.wait_until_idle()
    assert received(place) == {
        "action": "reconcile",
        "document": "Watched",
        "by": f"arn:aws:sts::{place.account}:assumed-role/AWSControlTowerExecution/sandbox",
    }
    assert place.messages() == []


def test_what_a_function_does_is_an_event_too(
    sandbox: Sandbox, place: Place, make_function: Callable[..., str]
) -> None:
    name = make_function(
        "import boto3\n\ndef handle(event, context):\n    boto3.client('ssm').delete_document(Name='Watched')\n",
        Timeout=30,
    )
    functions = place.session.client("lambda")
    functions.add_permission(
        FunctionName=name, StatementId="rule", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    created = {**PATTERN, "detail": {"eventName": ["CreateDocument"]}}
    place.rule({"Arn": functions.get_function_configuration(FunctionName=name)["FunctionArn"]}, created)
    deleted = {**PATTERN, "detail": {"eventName": ["DeleteDocument"]}}
    place.let_into_queue()
    place.rule({"Arn": place.queue_arn, "InputPath": "$.detail.userIdentity.sessionContext.sessionIssuer"}, deleted)
    place.document()
    sandbox.wait_until_idle()
    (issuer,) = place.bodies()
    assert issuer["arn"] == f"arn:aws:iam::{place.account}:role/report-function"


def test_waiting_for_a_message_lets_others_call(sandbox: Sandbox, place: Place) -> None:
    place.let_into_queue()
    place.rule({"Arn": place.queue_arn}, ScheduleExpression="cron(0 6 * * ? *)")
    sandbox.fire_schedules(place.account, REGION)
    # The event is delivered while this waits, or it would wait in vain.
    answer = place.sqs.receive_message(QueueUrl=place.queue_url, WaitTimeSeconds=20)
    assert len(answer["Messages"]) == 1


def test_busy_is_told(sandbox: Sandbox, place: Place, make_function: Callable[..., str]) -> None:
    name = make_function("import time\n\ndef handle(event, context):\n    time.sleep(2)\n", Timeout=30)
    place.session.client("lambda").invoke(FunctionName=name, InvocationType="Event")
    with pytest.raises(SandboxError, match=r"still busy after 0 s; see .*server\.log"):
        sandbox.wait_until_idle(0)
    sandbox.wait_until_idle(30)


def test_questions_that_have_no_answer(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="has no POST /sandbox/weather"):
        sandbox._control("POST", "weather")
    with pytest.raises(SandboxError, match="has an invalid body: KeyError"):
        sandbox._control("POST", "schedule", {"account": "111122223333"})
