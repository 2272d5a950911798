"""Settings of the instance policy: whose roles get it, and which buckets it allows."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from session_manager_fleet.settings.types import (
    AccountId,
    BucketName,
    KeyPrefix,
    KmsKeyArn,
    Region,
    RoleName,
    StrictModel,
    is_partial,
)


class NodeKinds(StrictModel):
    """Managed nodes whose roles the Config rule judges and its remediation attaches the policy to."""

    instance_profiles: bool = True
    """Roles of EC2 instances with an instance profile."""
    default_host_management: bool = True
    """Roles with AmazonSSMManagedEC2InstanceDefaultPolicy, as the one of Default Host Management."""
    hybrid: bool = True
    """Roles of activations with AmazonSSMManagedInstanceCore, of hybrid nodes."""
    inline_at_quota: bool = False
    """Whether a role that has as many managed policies as it may gets the policy as an inline copy."""

    @model_validator(mode="after")
    def _some_nodes(self, info: ValidationInfo) -> Self:
        kinds = ("instance_profiles", "default_host_management", "hybrid")
        if not is_partial(info) and not any(getattr(self, kind) for kind in kinds):
            raise ValueError(f"one of {', '.join(kinds)} must be true; else set config_rule.enabled to false")
        return self


class LogBucket(StrictModel):
    """A bucket that instances log to, below `<key_prefix>/<account>/<region>`."""

    bucket_name: BucketName
    """Name of the bucket."""
    bucket_account_id: AccountId | None = None
    """Account that owns the bucket; by default the account of the bucket's KMS key, or the account itself."""
    key_prefix: KeyPrefix = "sessionmanager"
    """Prefix of all object keys, without a slash at either end."""
    kms_key_arn: KmsKeyArn | None = None
    """KMS key of the bucket, which instances may use."""
    kms_key_account_id: AccountId | None = None
    """Account of the bucket's KMS key, instead of kms_key_arn if the ARN is not known."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.kms_key_arn and self.kms_key_account_id:
            raise ValueError("kms_key_arn and kms_key_account_id exclude each other; the ARN contains the account")
        return self


class InstancePolicy(StrictModel):
    """Managed policy with which instances write session logs and decrypt session data."""

    enabled: bool = True
    """Whether the policy is created."""
    regions: list[Literal["*"] | Region] = Field(["*"], min_length=1)
    """Regions where instances may use session-data keys by alias; `*` is all."""
    session_key_by_alias: bool = True
    """Whether instances may use keys by the alias names.data_key_alias; false if no region has such a key."""
    session_key_arns: list[KmsKeyArn] = Field([])
    """Other session-data keys of any region; preferences.session_key.kms_key_arn of the home region is included."""
    other_log_buckets: list[LogBucket] = Field([])
    """Buckets that instances of other regions log to, besides preferences.s3 of the home region."""
    attach_to_roles: list[RoleName] = Field([])
    """Names of roles that Terraform attaches the policy to."""
    attach_managed_instance_core: bool = False
    """Whether AmazonSSMManagedInstanceCore is attached to these roles, too."""
    nodes: NodeKinds = NodeKinds()

    @model_validator(mode="after")
    def _core_attached_to_roles(self, info: ValidationInfo) -> Self:
        if not is_partial(info) and self.attach_managed_instance_core and not self.attach_to_roles:
            raise ValueError("attach_managed_instance_core has no effect without attach_to_roles")
        return self
