"""Queues."""

import json

import boto3


def test_a_queue_keeps_its_policy_when_something_else_is_set(member: boto3.Session) -> None:
    sqs = member.client("sqs")
    statement = {"Sid": "own", "Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    url = sqs.create_queue(QueueName="keeping", Attributes={"Policy": policy})["QueueUrl"]

    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "7"})
    kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy", "DelaySeconds"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})

    assert (json.loads(kept["Policy"])["Statement"], kept["DelaySeconds"]) == ([statement], "7")
    assert "Policy" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get("Attributes", {})
