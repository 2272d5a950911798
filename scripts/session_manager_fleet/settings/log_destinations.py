"""Settings of where session logs go: a bucket, CloudWatch Logs, and what CloudWatch Logs does with them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from session_manager_fleet.settings.types import (
    AccountId,
    BucketName,
    KeyPrefix,
    KmsKeyArn,
    LogGroupName,
    RetentionDays,
    RoleArn,
    StrictModel,
    SubscriptionArn,
    possible_log_group,
)

# For the rollout alone: each target gets the variables that it comes to there.
Existing = Literal["refuse", "adopt"]
Adopted = Literal["keep", "change"]


class S3Logging(StrictModel):
    """Session logs in an S3 bucket, below `<key_prefix>/<account>/<region>`."""

    enabled: bool = False
    """Whether sessions are logged to S3."""
    bucket_name: BucketName | None = None
    """Name of the bucket."""
    bucket_account_id: AccountId | None = None
    """Account that owns the bucket; by default the account of the bucket's KMS key, or the account itself."""
    key_prefix: KeyPrefix = "sessionmanager"
    """Prefix of all object keys, without a slash at either end."""
    encryption_enabled: bool = True
    """Whether the agent refuses sessions unless the bucket is encrypted."""
    kms_key_arn: KmsKeyArn | None = None
    """KMS key of the bucket, which instances may use."""
    kms_key_account_id: AccountId | None = None
    """Account of the bucket's KMS key, instead of kms_key_arn if the ARN is not known."""


class Subscription(StrictModel):
    """Where CloudWatch Logs sends session logs on to, as they arrive."""

    destination_arn: SubscriptionArn
    """A stream, a delivery stream or a function of the account, or a CloudWatch Logs destination of any."""
    role_arn: RoleArn | None = None
    """Role with which CloudWatch Logs sends; by default one is created, where the destination needs one."""
    filter_pattern: str = Field("", max_length=1024)
    """Filter pattern of CloudWatch Logs for the events to send; empty sends all."""
    distribution: Literal["ByLogStream", "Random"] = "ByLogStream"
    """How events are distributed to the shards of a Kinesis stream."""
    name: str = Field("session-manager", pattern=r"^[^:*\s]{1,512}$")
    """Name of the subscription filter."""

    @property
    def service(self) -> str:
        """Service of the destination: kinesis, firehose, lambda or logs."""
        return self.destination_arn.split(":")[2]

    @property
    def creates_role(self) -> bool:
        """Whether a role is created to send with."""
        return self.role_arn is None and self.service != "lambda"


class FindingsDestination(StrictModel):
    """Where CloudWatch Logs reports what it has masked."""

    log_group_name: LogGroupName | None = None
    """Another log group."""
    bucket_name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """A bucket."""
    delivery_stream_name: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """A Firehose delivery stream."""


class DataProtection(StrictModel):
    """Data that CloudWatch Logs masks in session logs for all who lack logs:Unmask."""

    credentials: bool = True
    """Whether secret access keys and private keys are masked."""
    identifiers: list[Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{1,63}(-[A-Z]{2})?$")]] = Field([])
    """Ids of other managed data identifiers, such as EmailAddress or PassportNumber-US."""
    custom_identifiers: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")],
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_#=@/;, ^$?\[\]{}|\\*+.-]{1,200}$")],
    ] = Field({}, max_length=10)
    """Regular expressions of one's own, by name."""
    findings_destination: FindingsDestination = FindingsDestination()


class CloudWatchLogging(StrictModel):
    """Session logs in a CloudWatch log group of the account and region."""

    create_log_group: bool = True
    """Whether the log group is created; otherwise it must exist."""
    existing: Existing = "refuse"
    """Where log group or alias exist already: the plan refuses, or they are used and survive destroy."""
    existing_retention: Adopted = "keep"
    """An adopted log group keeps its retention, or gets retention_in_days until destroy."""
    existing_key: Adopted = "keep"
    """An adopted log group keeps its key, or gets that of a created one until destroy."""
    log_group_name: Annotated[str, AfterValidator(possible_log_group)] | None = Field(
        None, pattern=r"^[A-Za-z0-9_./#-]{0,512}$"
    )
    """Another log group than names.log_group; empty turns CloudWatch logging off."""
    encryption_enabled: bool = True
    """Whether the agent refuses sessions unless the log group is encrypted."""
    streaming_enabled: bool = False
    """Whether logs are sent during the session, not at its end."""
    retention_in_days: RetentionDays = 90
    """Retention of a created log group; 0 never expires."""
    kms_key_arn: KmsKeyArn | None = None
    """KMS key of the log group; by default a key is created."""
    log_group_class: Literal["STANDARD", "INFREQUENT_ACCESS"] = "STANDARD"
    """Class of a created log group, which cannot change: give the group another name, too."""
    subscription: Subscription | None = None
    data_protection: DataProtection | None = None
