import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox

MakeFunction = Callable[..., str]


def invoke(session: boto3.Session, name: str, event: object = None, **more: str) -> tuple[Any, dict[str, Any]]:
    answer = session.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event), **more)  # type: ignore[arg-type]
    return json.loads(answer["Payload"].read()), dict(answer)


def test_a_permission_is_added_once(member: boto3.Session, make_function: MakeFunction) -> None:
    functions, name = member.client("lambda"), make_function("def handle(event, context):\n    pass\n")

    def add(principal: str) -> None:
        functions.add_permission(
            FunctionName=name, StatementId="Rule", Action="lambda:InvokeFunction", Principal=principal
        )

    add("events.amazonaws.com")
    with pytest.raises(functions.exceptions.ResourceConflictException, match=r"\(Rule\) provided already exists"):
        add("sns.amazonaws.com")
    (statement,) = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    functions.remove_permission(FunctionName=name, StatementId="Rule")
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_policy(FunctionName=name)
    add("sns.amazonaws.com")


def test_the_zip_runs_as_the_role_in_its_account_and_region(
    sandbox: Sandbox, member: boto3.Session, make_function: MakeFunction
) -> None:
    name = make_function(
        """
import os
import boto3

def handle(event, context):
    return {
        "event": event,
        "caller": boto3.client("sts").get_caller_identity()["Arn"],
        "region": boto3.session.Session().region_name,
        "name": context.function_name,
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "request": bool(context.aws_request_id),
        "left": context.get_remaining_time_in_millis(),
        "greeting": os.environ["GREETING"],
        "leaked": sorted(set(os.environ) & {"AWS_PROFILE", "PYTHONPATH", "HTTP_PROXY"}),
    }
""",
        MemorySize=256,
        Timeout=30,
        Environment={"Variables": {"GREETING": "hello"}},
    )
    result, answer = invoke(member, name, {"a": [1, None, "ü"]})
    account = sandbox.organization.members[0].id
    assert "FunctionError" not in answer
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    left = result.pop("left")
    assert 25_000 < left <= 30_000
    assert result == {
        "event": {"a": [1, None, "ü"]},
        "caller": f"arn:aws:sts::{account}:assumed-role/report-function/{name}",
        "region": "eu-west-1",
        "name": name,
        "memory": "256",
        "arn": f"arn:aws:lambda:eu-west-1:{account}:function:{name}",
        "request": True,
        "greeting": "hello",
        "leaked": [],
    }


def test_only_the_package_and_what_is_installed_can_be_imported(
    member: boto3.Session, make_function: MakeFunction
) -> None:
    name = make_function(
        """
def handle(event, context):
    try:
        import session_manager_fleet
    except ImportError:
        return "hidden"
"""
    )
    assert invoke(member, name)[0] == "hidden"


def test_an_exception_is_shaped_as_lambda_shapes_it(member: boto3.Session, make_function: MakeFunction) -> None:
    name = make_function("def handle(event, context):\n    raise KeyError('no such thing')\n")
    result, answer = invoke(member, name)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["StatusCode"] == 200
    assert result["errorType"] == "KeyError"
    assert result["errorMessage"] == "'no such thing'"
    assert result["stackTrace"][0].startswith('  File "/var/task/app/handler.py", line 2, in handle\n')
    assert result["requestId"]


@pytest.mark.parametrize(
    ("source", "settings", "error_type", "message"),
    [
        ("import missing_module", {}, "Runtime.ImportModuleError", "Unable to import module 'app.handler': No module"),
        ("", {}, "Runtime.HandlerNotFound", "Handler 'handle' missing on module 'app.handler'"),
        ("def handle(e, c):\n    return {1, 2}", {}, "Runtime.MarshalError", "Unable to marshal response"),
        ("def handle(e, c):\n    import os\n    os._exit(7)", {}, "Runtime.ExitError", "exit status 7"),
        ("def handle(e, c):\n    import os\n    os.kill(os.getpid(), 9)", {}, "Runtime.ExitError", "signal: SIGKILL"),
        ("def handle(e, c):\n    import time\n    time.sleep(60)", {"Timeout": 1}, "Sandbox.Timedout", "after 1.00 s"),
    ],
)
def test_other_failures(
    member: boto3.Session,
    make_function: MakeFunction,
    source: str,
    settings: dict[str, Any],
    error_type: str,
    message: str,
) -> None:
    started = time.monotonic()
    result, answer = invoke(member, make_function(source, **settings))
    assert answer["FunctionError"] == "Unhandled"
    assert result["errorType"] == error_type
    assert message in result["errorMessage"]
    assert time.monotonic() - started < 15


def messages(session: boto3.Session, group: str) -> list[str]:
    logs = session.client("logs")
    return [
        event["message"]
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    ]


LOGGING = """
import logging

logger = logging.getLogger("app")
logger.setLevel("INFO")

def handle(event, context):
    print("printed", event)
    logger.info("logged %s", event)
"""


def test_output_goes_to_the_log_group(member: boto3.Session, make_function: MakeFunction) -> None:
    name = make_function(LOGGING)
    logs = member.client("logs")
    logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
    _, answer = invoke(member, name, "x", LogType="Tail")
    written = messages(member, f"/aws/lambda/{name}")
    logs.delete_log_group(logGroupName=f"/aws/lambda/{name}")
    assert "printed x" in written
    assert any(line.startswith("[INFO]\t") and line.endswith("\tlogged x") for line in written)
    assert [line.split()[0] for line in written if "RequestId" in line] == ["START", "END", "REPORT"]
    assert "logged x" in base64.b64decode(answer["LogResult"]).decode()


def test_without_the_group_the_log_is_lost(member: boto3.Session, make_function: MakeFunction) -> None:
    name = make_function(LOGGING)
    _, answer = invoke(member, name, "x")
    assert "LogResult" not in answer
    groups = member.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
    assert groups == []


def test_json_logging_into_a_group_of_ones_own(member: boto3.Session, make_function: MakeFunction) -> None:
    logs = member.client("logs")
    logs.create_log_group(logGroupName="functions")
    name = make_function(LOGGING, LoggingConfig={"LogFormat": "JSON", "LogGroup": "functions"})
    kept = member.client("lambda").get_function_configuration(FunctionName=name)["LoggingConfig"]
    assert kept == {
        "LogFormat": "JSON",
        "LogGroup": "functions",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "INFO",
    }
    invoke(member, name, "x")
    written = messages(member, "functions")
    logs.delete_log_group(logGroupName="functions")
    (line,) = [json.loads(message) for message in written if "logged" in message]
    assert (line["level"], line["message"], line["logger"]) == ("INFO", "logged x", "app")


def test_an_event_is_run_later(sandbox: Sandbox, member: boto3.Session, make_function: MakeFunction) -> None:
    name = make_function(
        """
import boto3

def handle(event, context):
    boto3.client("ssm").put_parameter(Name=event, Value="done", Type="String")
"""
    )
    answer = member.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b'"/function/event"')
    assert answer["StatusCode"] == 202
    ssm = member.client("ssm")
    sandbox.wait_until_idle()
    assert ssm.get_parameters(Names=["/function/event"])["Parameters"]
    ssm.delete_parameter(Name="/function/event")


# Fails as often as its event says, and counts its attempts.
FLAKY = """
import boto3

def handle(event, context):
    ssm = boto3.client("ssm")
    attempt = int(ssm.get_parameter(Name="/function/attempts")["Parameter"]["Value"]) + 1
    ssm.put_parameter(Name="/function/attempts", Value=str(attempt), Type="String", Overwrite=True)
    if attempt <= event["failures"]:
        raise ValueError(f"attempt {attempt}")
"""


@pytest.fixture
def attempts(sandbox: Sandbox, member: boto3.Session) -> Iterator[Callable[[str, int], int]]:
    """Invoke a function asynchronously that is to fail so often, and return how often it was tried."""
    ssm = member.client("ssm")

    def count(name: str, failures: int) -> int:
        ssm.put_parameter(Name="/function/attempts", Value="0", Type="String", Overwrite=True)
        payload = json.dumps({"failures": failures})
        member.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=payload)
        sandbox.wait_until_idle()
        return int(ssm.get_parameter(Name="/function/attempts")["Parameter"]["Value"])

    yield count
    ssm.delete_parameter(Name="/function/attempts")


def queue(session: boto3.Session, name: str) -> tuple[str, str]:
    sqs = session.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(session: boto3.Session, url: str) -> list[dict[str, Any]]:
    answer = session.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
    )
    return [dict(message) for message in answer.get("Messages", [])]


def test_an_asynchronous_failure_is_tried_again(
    member: boto3.Session, make_function: MakeFunction, attempts: Callable[[str, int], int]
) -> None:
    url, arn = queue(member, "dead-letters")
    name = make_function(FLAKY, Timeout=30, DeadLetterConfig={"TargetArn": arn})
    assert attempts(name, 0) == 1
    assert attempts(name, 2) == 3
    assert received(member, url) == []
    member.client("sqs").delete_queue(QueueUrl=url)


def test_dead_letters(member: boto3.Session, make_function: MakeFunction, attempts: Callable[[str, int], int]) -> None:
    url, arn = queue(member, "dead-letters")
    name = make_function(FLAKY, Timeout=30, DeadLetterConfig={"TargetArn": arn})
    assert attempts(name, 9) == 3
    (letter,) = received(member, url)
    assert json.loads(letter["Body"]) == {"failures": 9}
    values = {key: value["StringValue"] for key, value in letter["MessageAttributes"].items()}
    assert values.pop("RequestID")
    assert values == {"ErrorCode": "200", "ErrorMessage": "attempt 3"}
    member.client("sqs").delete_queue(QueueUrl=url)


def test_destination_for_failures(
    member: boto3.Session, make_function: MakeFunction, attempts: Callable[[str, int], int]
) -> None:
    url, arn = queue(member, "failures")
    functions = member.client("lambda")
    name = make_function(FLAKY, Timeout=30)
    for retries in (0, 2):  # also after a deletion, the newest counts
        functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=retries)
    functions.delete_function_event_invoke_config(FunctionName=name)
    functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=2)
    functions.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    assert functions.get_function_event_invoke_config(FunctionName=name)["MaximumRetryAttempts"] == 1
    assert attempts(name, 9) == 2
    (message,) = received(member, url)
    record = json.loads(message["Body"])
    assert record["version"] == "1.0"
    assert record["timestamp"].endswith("Z")
    assert record["requestContext"].pop("requestId")
    assert record["requestContext"] == {
        "functionArn": functions.get_function(FunctionName=name)["Configuration"]["FunctionArn"] + ":$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 2,
    }
    assert record["requestPayload"] == {"failures": 9}
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorMessage"] == "attempt 2"
    member.client("sqs").delete_queue(QueueUrl=url)


def test_a_topic_gets_dead_letters_and_a_missing_queue_loses_them(
    sandbox: Sandbox, member: boto3.Session, make_function: MakeFunction, attempts: Callable[[str, int], int]
) -> None:
    url, arn = queue(member, "letters-of-a-topic")
    sns = member.client("sns")
    topic = sns.create_topic(Name="dead-letters")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    name = make_function(FLAKY, Timeout=30, DeadLetterConfig={"TargetArn": topic})
    configuration = member.client("lambda").get_function_configuration(FunctionName=name)
    assert configuration["DeadLetterConfig"] == {"TargetArn": topic}
    member.client("lambda").put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn.replace("letters-of-a-topic", "missing")}},
    )
    assert attempts(name, 9) == 1
    (message,) = received(member, url)
    notification = json.loads(message["Body"])
    assert json.loads(notification["Message"]) == {"failures": 9}
    assert notification["MessageAttributes"]["ErrorMessage"]["Value"] == "attempt 1"
    assert "an event that failed does not reach" in (sandbox.folder / "server.log").read_text()
    sns.delete_topic(TopicArn=topic)
    member.client("sqs").delete_queue(QueueUrl=url)


def test_a_dry_run_runs_nothing(member: boto3.Session, make_function: MakeFunction) -> None:
    name = make_function("raise SystemExit")
    assert member.client("lambda").invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204


def test_new_code_is_what_runs_next(member: boto3.Session, make_function: MakeFunction) -> None:
    name = make_function("def handle(event, context):\n    return 1")
    assert invoke(member, name)[0] == 1
    content = member.client("lambda").get_function(FunctionName=name)["Configuration"]["CodeSha256"]
    other = make_function("def handle(event, context):\n    return 2")
    assert content != member.client("lambda").get_function(FunctionName=other)["Configuration"]["CodeSha256"]
    assert invoke(member, other)[0] == 2


def test_invalid_requests(member: boto3.Session, make_function: MakeFunction) -> None:
    name = make_function("def handle(event, context):\n    return 1")
    functions = member.client("lambda")
    with pytest.raises(ClientError, match="Could not parse request body into json") as refused:
        functions.invoke(FunctionName=name, Payload=b"{")
    assert refused.value.response["Error"]["Code"] == "InvalidRequestContentException"
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.invoke(FunctionName="missing")


def test_a_role_that_does_not_trust_lambda(member: boto3.Session, make_function: MakeFunction) -> None:
    iam, source = member.client("iam"), "def handle(event, context):\n    return 1"
    trust = iam.get_role(RoleName="report-function")["Role"]["AssumeRolePolicyDocument"]
    role = iam.create_role(RoleName="untrusting", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    name = make_function(source, Role=role)
    iam.update_assume_role_policy(RoleName="untrusting", PolicyDocument=json.dumps(trust).replace("lambda", "ec2"))
    with pytest.raises(ClientError, match="cannot be assumed by Lambda") as refused:
        make_function(source, Role=role)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    with pytest.raises(ClientError, match="cannot be assumed by Lambda") as refused:
        member.client("lambda").invoke(FunctionName=name)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    iam.delete_role(RoleName="untrusting")


def test_other_calls_are_answered_while_functions_run(member: boto3.Session, make_function: MakeFunction) -> None:
    name = make_function("import time\ndef handle(event, context):\n    time.sleep(2)\n    return event", Timeout=30)
    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(invoke, member, name, number) for number in range(4)]
        asked = time.monotonic()
        member.client("sts").get_caller_identity()
        answered = time.monotonic() - asked
        assert [future.result()[0] for future in running] == [0, 1, 2, 3]
    assert answered < 2
    assert time.monotonic() - started < 8, "they run side by side"
