"""Demands of a preferences document on the nodes that it binds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from session_manager_fleet.aws import partitions
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target

# A key that the plan creates has no id yet; no key has this one.
_KEY_TO_COME = "key/00000000-0000-0000-0000-000000000000"


class Effect(StrEnum):
    """Effect of a demand that is not met."""

    NO_SESSION = "no_session"
    NO_LOG = "no_log"


@dataclass(frozen=True)
class Need:
    """Rights that the agent needs for one purpose.

    Attributes:
        what: The purpose, to complete "It cannot …".
        effect: What happens without them.
        service: Service that the agent calls, by its name in endpoints.
        actions: IAM actions.
        resources: ARNs; each action is needed on all of them.
        context: Context keys of the requests with their values.
    """

    what: str
    effect: Effect
    service: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    context: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Demands:
    """Demands of a document.

    Attributes:
        region: Region of the document and its nodes.
        key: Whether session data is encrypted with a KMS key.
        needs: The rights, in the order in which the agent uses them.
    """

    region: str
    key: bool
    needs: tuple[Need, ...]

    @classmethod
    def of(
        cls, preferences: Mapping[str, Any], target: Target, values: TargetSettings, aliases: Sequence[str] = ()
    ) -> Self:
        """Return the demands of a document.

        Args:
            preferences: The document's inputs; the key may be unknown before an apply.
            target: Account and region of the document.
            values: Settings of the target, which tell the account of the bucket and the alias of a key of its own.
            aliases: Further aliases of the key, which policies may allow it by.
        """
        needs = (
            *_of_key(preferences, target, values, aliases),
            *_of_logs(preferences, target),
            *_of_bucket(preferences, target, values),
        )
        everywhere = (("aws:RequestedRegion", (target.region,)), ("aws:SecureTransport", ("true",)))
        return cls(
            target.region,
            bool(preferences.get("kmsKeyId")),
            tuple(replace(need, context=(*need.context, *everywhere)) for need in needs),
        )

    @property
    def refuses_sessions(self) -> bool:
        """Whether sessions are refused where a need is not satisfied: with a key, and where encryption is demanded."""
        return any(need.effect is Effect.NO_SESSION for need in self.needs)

    @property
    def services(self) -> dict[str, str]:
        """Services that the agent must reach for sessions and logs, with the region of each."""
        return dict.fromkeys(["ssm", "ssmmessages", *(need.service for need in self.needs)], self.region)


def _of_key(
    preferences: Mapping[str, Any], target: Target, values: TargetSettings, aliases: Sequence[str]
) -> Iterator[Need]:
    key = str(preferences.get("kmsKeyId") or "")
    if not key:
        return
    own = [values.names.data_key_alias] if values.preferences.session_key.kms_key_arn is None else []
    arn = key if key.startswith("arn:") and ":key/" in key else _arn(target, "kms", _KEY_TO_COME)
    known = tuple(sorted({*own, *aliases}))
    context = (("kms:ResourceAliases", known),) if known else ()
    yield Need("use the session key", Effect.NO_SESSION, "kms", ("kms:Decrypt",), (arn,), context)


def _of_logs(preferences: Mapping[str, Any], target: Target) -> Iterator[Need]:
    """Yield what the agent does with the log group (amazon-ssm-agent, cloudwatchlogsservice.go and shell.go)."""
    group = preferences.get("cloudWatchLogGroupName")
    if not group:
        return
    if preferences.get("cloudWatchEncryptionEnabled"):
        what = "find the encrypted log group"
        yield Need(what, Effect.NO_SESSION, "logs", ("logs:DescribeLogGroups",), ("*",))
    elif preferences.get("cloudWatchStreamingEnabled"):
        yield Need("find the log group", Effect.NO_LOG, "logs", ("logs:DescribeLogGroups",), ("*",))
    arn = _arn(target, "logs", f"log-group:{group}")
    yield Need("find log streams", Effect.NO_LOG, "logs", ("logs:DescribeLogStreams",), (arn,))
    written = ("logs:CreateLogStream", "logs:PutLogEvents")
    yield Need("write to the log group", Effect.NO_LOG, "logs", written, (f"{arn}:log-stream:session",))


def _of_bucket(preferences: Mapping[str, Any], target: Target, values: TargetSettings) -> Iterator[Need]:
    """Yield what the agent does with the bucket (amazon-ssm-agent, s3util.go and shell.go)."""
    bucket = preferences.get("s3BucketName")
    if not bucket:
        return
    s3 = values.preferences.s3
    of_key = (s3.kms_key_arn or "").split(":")[4:5]
    owner = s3.bucket_account_id or s3.kms_key_account_id or next(iter(of_key), target.account.id)
    arn, context = f"arn:{partitions()[target.region]}:s3:::{bucket}", (("s3:ResourceAccount", (owner,)),)
    if preferences.get("s3EncryptionEnabled"):
        asked = ("s3:GetEncryptionConfiguration",)
        yield Need("read the bucket's encryption", Effect.NO_SESSION, "s3", asked, (arn,), context)
    key = "/".join(filter(None, [preferences.get("s3KeyPrefix"), "session.log"]))
    yield Need(
        "write to the bucket", Effect.NO_LOG, "s3", ("s3:PutObject", "s3:PutObjectAcl"), (f"{arn}/{key}",), context
    )


def _arn(target: Target, service: str, resource: str) -> str:
    return f"arn:{partitions()[target.region]}:{service}:{target.region}:{target.account.id}:{resource}"
