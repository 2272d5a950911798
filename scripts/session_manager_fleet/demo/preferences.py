"""Read the live preferences document."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.exceptions

from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors


@dataclass(frozen=True)
class LivePreferences:
    """The live Session Manager preferences of an account in a region.

    Attributes:
        default_version: Version that the console shows.
        latest_version: Version that `start-session --document-name` uses.
        inputs: The document's inputs, by AWS's names.
    """

    default_version: str
    latest_version: str
    inputs: Mapping[str, Any]

    @property
    def logging(self) -> str:
        """Destinations of session logs."""
        destinations = []
        if group := self.inputs.get("cloudWatchLogGroupName"):
            destinations.append(f"CloudWatch {group}")
        if bucket := self.inputs.get("s3BucketName"):
            destinations.append(f"S3 {bucket}")
        return ", ".join(destinations) or "none"

    @property
    def encryption(self) -> str:
        """Encrypted data: session data if there is a KMS key, logs if their destination must be encrypted."""
        encrypted = ["session data"] if self.inputs.get("kmsKeyId") else []
        if self.inputs.get("cloudWatchEncryptionEnabled") is True:
            encrypted.append("CloudWatch")
        if self.inputs.get("s3BucketName") and self.inputs.get("s3EncryptionEnabled") is True:
            encrypted.append("S3")
        return ", ".join(encrypted) or "none"

    @property
    def timeouts(self) -> str:
        """Idle timeout and maximum duration, in minutes."""
        maximum = self.inputs.get("maxSessionDuration")
        return f"idle {self.inputs.get('idleSessionTimeout') or 20}, max {maximum or 'none'}"


def read_preferences(session: boto3.Session, region: str, document: str) -> LivePreferences | None:
    """Read the default version of the preferences document; None if there is no document.

    Raises:
        AccessError: The document cannot be read.
    """
    client = session.client("ssm", region_name=region, config=CLIENT_CONFIG)
    with translated_errors(f"read the document {document} in {region}"):
        try:
            described = client.describe_document(Name=document)["Document"]
            version = described["DefaultVersion"]
            content = client.get_document(Name=document, DocumentVersion=version, DocumentFormat="JSON")["Content"]
        except botocore.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") == "InvalidDocument":
                return None
            raise
    return LivePreferences(version, described["LatestVersion"], json.loads(content)["inputs"])
