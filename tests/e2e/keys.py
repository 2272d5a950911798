"""Keys that tests create by hand."""

import json

import boto3


def logs_key(session: boto3.Session, region: str, account_id: str) -> str:
    """Create a key that CloudWatch Logs may use, and return its ARN."""
    grants = [
        {"Principal": {"AWS": f"arn:aws:iam::{account_id}:root"}, "Action": "kms:*"},
        {
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{region}:{account_id}:*"}},
        },
    ]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **each} for each in grants]}
    key = session.client("kms", region_name=region).create_key(Policy=json.dumps(policy))["KeyMetadata"]
    return str(key["Arn"])
