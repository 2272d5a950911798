"""Drift repair as modules/preferences creates it, made by hand for tests of `verify`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1] / "modules" / "preferences" / "lambda.zip"
DOCUMENT = "SSM-SessionManagerRunShell"
_TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


def create_drift_repair(
    client: Callable[[str], Any], account: str, region: str, name: str = "session-manager-preferences", topic: str = ""
) -> None:
    """Create function, rules, permissions, queue and alarm.

    Args:
        client: Returns the client of a service.
        account: Account id.
        region: Region of the clients.
        name: Name of the function.
        topic: ARN of the SNS topic that is notified; empty for none.
    """
    role = client("iam").create_role(RoleName=f"{name}-{region}", AssumeRolePolicyDocument=_policy(_TRUST))["Role"]
    functions, events, queue = client("lambda"), client("events"), f"{name}-failures"
    function = functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role["Arn"],
        Handler="session_preferences.handler.lambda_handler",
        Code={"ZipFile": PACKAGE.read_bytes()},
    )["FunctionArn"]
    client("logs").create_log_group(logGroupName=f"/aws/lambda/{name}")
    client("sqs").create_queue(QueueName=queue)
    functions.put_function_event_invoke_config(
        FunctionName=name,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:sqs:{region}:{account}:{queue}"}},
    )
    repair = {"action": "reconcile", "document": DOCUMENT, **({"notify_topic_arn": topic} if topic else {})}
    cause = {"cause": {"event_id": "<event_id>", "event_name": "<event_name>"}}
    template = {"InputPathsMap": {"event_id": "$.detail.eventID", "event_name": "$.detail.eventName"}}
    targets: dict[str, dict[str, Any]] = {
        "api-calls": {"InputTransformer": {**template, "InputTemplate": json.dumps(repair | cause)}},
        "schedule": {"Input": json.dumps({**repair, "destinations": True})},
    }
    events.put_rule(Name=f"{name}-api-calls", State="ENABLED", EventPattern=json.dumps(pattern(name, account, region)))
    events.put_rule(Name=f"{name}-schedule", State="ENABLED", ScheduleExpression="rate(1 hour)")
    for rule, target in targets.items():
        functions.add_permission(
            FunctionName=name,
            StatementId=rule,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=f"arn:aws:events:{region}:{account}:rule/{name}-{rule}",
        )
        events.put_targets(Rule=f"{name}-{rule}", Targets=[{"Id": "function", "Arn": function, **target}])
    put_alarm(client("cloudwatch"), queue, actions=[topic] if topic else [])


def put_alarm(cloudwatch: Any, queue: str, threshold: int = 0, **changes: Any) -> None:  # noqa: ANN401
    """Create or change the alarm of a queue."""
    cloudwatch.put_metric_alarm(
        AlarmName=queue,
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": queue}],
        Statistic="Maximum",
        Period=300,
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        Threshold=threshold,
        TreatMissingData="notBreaching",
        AlarmActions=changes.get("actions", []),
    )


def pattern(name: str, account: str, region: str) -> dict[str, Any]:
    """Return the pattern of the rule for API calls."""
    own = f"arn:aws:sts::{account}:assumed-role/{name}-{region}/"
    names = ["CreateDocument", "UpdateDocument", "DeleteDocument", "UpdateDocumentDefaultVersion"]
    return {
        "source": ["aws.ssm"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "eventSource": ["ssm.amazonaws.com"],
            "eventName": [*names, "ModifyDocumentPermission"],
            "errorCode": [{"exists": False}],
            "requestParameters": {"name": [DOCUMENT]},
            "userIdentity": {"arn": [{"anything-but": {"prefix": own}}, {"exists": False}]},
        },
    }


def _policy(statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
