"""AWS Config's configuration items of IAM roles.

moto describes only the current state of a resource, and roles with an unencoded trust policy and every instance profile
of the account. Here every change of a role creates an item in each region whose recorder records IAM roles; API and
rules read these items.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from moto.config.models import ConfigRecorder, config_backends
from moto.iam.models import InstanceProfile, Role, iam_backends

from aws_sandbox.background import Background
from aws_sandbox.call import AwsError, Call, Reply
from aws_sandbox.gateway import Operations
from aws_sandbox.lock import CallLock
from aws_sandbox.pages import page

ROLE = "AWS::IAM::Role"
DISCOVERED = "ResourceDiscovered"
CHANGED = "OK"
DELETED = "ResourceDeleted"

_READS = ("Get", "List", "Simulate", "Generate")
_HISTORY_PAGE_SIZE = 10
_LIST_PAGE_SIZE = 100

# Account and region.
Place = tuple[str, str]


@dataclass(frozen=True)
class ConfigurationItem:
    """The recorded state of a role at a point in time.

    Attributes:
        account_id: Account of the role.
        resource_id: `AROA…`.
        resource_name: Name of the role.
        arn: ARN of the role.
        status: `ResourceDiscovered`, `OK` after a change, `ResourceDeleted`.
        captured: When the item was recorded.
        created: When the role was created.
        tags: Tags of the role.
        configuration: The role as AWS Config describes it; None for a deleted role.
    """

    account_id: str
    resource_id: str
    resource_name: str
    arn: str
    status: str
    captured: datetime
    created: datetime
    tags: Mapping[str, str]
    configuration: Mapping[str, Any] | None

    @property
    def is_deleted(self) -> bool:
        """Whether the role was deleted."""
        return self.status == DELETED

    def described(self) -> dict[str, Any]:
        """Return the item as in the API, with the configuration as a JSON string."""
        text = {} if self.configuration is None else {"configuration": json.dumps(self.configuration)}
        return {
            **self._common(),
            **text,
            "version": "1.3",
            "accountId": self.account_id,
            "arn": self.arn,
            "configurationItemCaptureTime": self.captured,
            "resourceCreationTime": self.created,
            "recordingFrequency": "CONTINUOUS",
        }

    def notified(self) -> dict[str, Any]:
        """Return the item as in the event that rules receive.

        See https://docs.aws.amazon.com/config/latest/developerguide/evaluate-config_develop-rules_example-events.html.
        """
        return {
            **self._common(),
            "configuration": self.configuration,
            "configurationItemVersion": "1.3",
            "awsAccountId": self.account_id,
            "ARN": self.arn,
            "configurationItemCaptureTime": _written(self.captured),
            "resourceCreationTime": _written(self.created),
            "configurationStateMd5Hash": "",
        }

    def _common(self) -> dict[str, Any]:
        return {
            "configurationItemStatus": self.status,
            "configurationStateId": str(int(self.captured.timestamp() * 1000)),
            "resourceType": ROLE,
            "resourceId": self.resource_id,
            "resourceName": self.resource_name,
            "awsRegion": "global",
            "availabilityZone": "Not Applicable",
            "tags": dict(self.tags),
            "relatedEvents": [],
            "relationships": [],
            "supplementaryConfiguration": {},
        }


def describe_role(role: Role, profiles: Iterable[InstanceProfile]) -> dict[str, Any]:
    """Return a role as AWS Config describes it.

    See https://github.com/awslabs/aws-config-resource-schema, `AWS::IAM::Role`.

    Args:
        role: The role.
        profiles: All instance profiles of the account.
    """
    described = _describe_role_alone(role)
    return {
        **described,
        "instanceProfileList": [
            {
                "path": profile.path,
                "instanceProfileName": profile.name,
                "instanceProfileId": profile.id,
                "arn": profile.arn,
                "createDate": _written(profile.create_date),
                "roles": [described],
            }
            for profile in profiles
            if role in profile.roles
        ],
        "rolePolicyList": [
            {"policyName": name, "policyDocument": quote(document, safe="")}
            for name, document in sorted(role.policies.items())
        ],
        "attachedManagedPolicies": [
            {"policyName": policy.name, "policyArn": arn} for arn, policy in sorted(role.managed_policies.items())
        ],
        "permissionsBoundary": _boundary(role),
        "tags": [{"key": key, "value": value} for key, value in sorted(_tags(role).items())],
        "roleLastUsed": None,
    }


def _describe_role_alone(role: Role) -> dict[str, Any]:
    return {
        "path": role.arn.split(":role")[1].removesuffix(role.name),
        "roleName": role.name,
        "roleId": role.id,
        "arn": role.arn,
        "createDate": _written(role.create_date),
        "assumeRolePolicyDocument": quote(role.assume_role_policy_document, safe=""),
    }


def _boundary(role: Role) -> dict[str, str] | None:
    if not role.permissions_boundary_arn:
        return None
    return {
        "permissionsBoundaryType": "PermissionsBoundaryPolicy",
        "permissionsBoundaryArn": role.permissions_boundary_arn,
    }


def _tags(role: Role) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in role.tags}


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


class Recorder:
    """Records the configuration items of all accounts and regions.

    Args:
        background: Runs recordings.
        lock: Held during a recording.

    Attributes:
        listeners: Called with account and region and the new items.
    """

    def __init__(self, background: Background, lock: CallLock) -> None:
        self._background = background
        self._lock = lock
        self.listeners: list[Callable[[Place, list[ConfigurationItem]], None]] = []
        # account and region → resource id → items, oldest first
        self._items: dict[Place, dict[str, list[ConfigurationItem]]] = {}

    def operations(self) -> Operations:
        """Return the API operations that this class answers, by (service, operation)."""
        return {
            ("config", "GetResourceConfigHistory"): self.get_resource_config_history,
            ("config", "BatchGetResourceConfig"): self.batch_get_resource_config,
            ("config", "ListDiscoveredResources"): self.list_discovered_resources,
        }

    def observe(self, call: Call, _reply: Reply) -> None:
        """Record the changes of a call that may have changed a role."""
        if call.service == "iam" and not call.operation.startswith(_READS):
            regions = list(config_backends[call.account_id])
        elif call.service == "config" and call.operation.endswith("ConfigurationRecorder"):
            regions = [call.region]
        else:
            return
        for region in regions:
            if records_roles((call.account_id, region)):
                self._background.start(partial(self._record_locked, (call.account_id, region)))

    def newest(self, place: Place) -> list[ConfigurationItem]:
        """Return the newest item of every role, including deleted roles."""
        return [items[-1] for items in self._items.get(place, {}).values()]

    def find(self, place: Place, resource_id: str) -> ConfigurationItem | None:
        """Return the newest item of a role, or None if there is none."""
        items = self._items.get(place, {}).get(resource_id)
        return items[-1] if items else None

    def get_resource_config_history(self, call: Call) -> dict[str, Any] | None:
        """Answer GetResourceConfigHistory for a role."""
        if not _is_about_roles(call, call.parameters["resourceType"]):
            return None
        if {"laterTime", "earlierTime"} & call.parameters.keys():
            raise NotImplementedError
        items = self._items.get((call.account_id, call.region), {}).get(call.parameters["resourceId"])
        if not items:
            raise AwsError(
                "ResourceNotDiscoveredException",
                f"Resource {call.parameters['resourceId']} of resourceType:{ROLE} is unknown or has not been "
                "discovered",
            )
        forward = call.parameters.get("chronologicalOrder") == "Forward"
        described = [item.described() for item in (items if forward else reversed(items))]
        return _page(call, "configurationItems", described, call.parameters.get("limit") or _HISTORY_PAGE_SIZE)

    def batch_get_resource_config(self, call: Call) -> dict[str, Any] | None:
        """Answer BatchGetResourceConfig for roles."""
        keys = call.parameters["resourceKeys"]
        if not _is_about_roles(call, *(key["resourceType"] for key in keys)):
            return None
        found = {key["resourceId"]: self.find((call.account_id, call.region), key["resourceId"]) for key in keys}
        return {
            "baseConfigurationItems": [item.described() for item in found.values() if item],
            "unprocessedResourceKeys": [key for key in keys if not found[key["resourceId"]]],
        }

    def list_discovered_resources(self, call: Call) -> dict[str, Any] | None:
        """Answer ListDiscoveredResources for roles."""
        asked = call.parameters
        if not _is_about_roles(call, asked["resourceType"]):
            return None
        identifiers = [
            {
                "resourceType": ROLE,
                "resourceId": item.resource_id,
                "resourceName": item.resource_name,
                **({"resourceDeletionTime": item.captured} if item.is_deleted else {}),
            }
            for item in self.newest((call.account_id, call.region))
            if (asked.get("includeDeletedResources") or not item.is_deleted)
            and asked.get("resourceName", item.resource_name) == item.resource_name
            and item.resource_id in asked.get("resourceIds", [item.resource_id])
        ]
        return _page(call, "resourceIdentifiers", identifiers, asked.get("limit") or _LIST_PAGE_SIZE)

    def _record_locked(self, place: Place) -> None:
        with self._lock:
            items = self._record(place)
            for listener in self.listeners:
                listener(place, items)

    def _record(self, place: Place) -> list[ConfigurationItem]:
        """Create an item for every role that differs from its newest item; return the new items."""
        backend = iam_backends[place[0]]["aws"]
        roles = {role.id: role for role in backend.roles.values()}
        known = self._items.setdefault(place, {})
        now = datetime.now(UTC)
        new = []
        for role in roles.values():
            configuration = describe_role(role, backend.instance_profiles.values())
            before = known.get(role.id)
            if before is None or before[-1].configuration != configuration:
                new.append(_item(role, CHANGED if before else DISCOVERED, now, configuration))
        for resource_id, items in known.items():
            if resource_id not in roles and not items[-1].is_deleted:
                new.append(replace(items[-1], status=DELETED, captured=now, tags={}, configuration=None))
        for item in new:
            known.setdefault(item.resource_id, []).append(item)
        return new


def _item(role: Role, status: str, now: datetime, configuration: Mapping[str, Any]) -> ConfigurationItem:
    return ConfigurationItem(
        account_id=role.account_id,
        resource_id=role.id,
        resource_name=role.name,
        arn=role.arn,
        status=status,
        captured=now,
        created=role.create_date.replace(tzinfo=UTC),
        tags=_tags(role),
        configuration=configuration,
    )


def records_roles(place: Place) -> bool:
    """Return whether a running recorder of the account and region records IAM roles."""
    account_id, region = place
    return any(_records_roles(recorder) for recorder in config_backends[account_id][region].recorders.values())


def _records_roles(recorder: ConfigRecorder) -> bool:
    """See https://docs.aws.amazon.com/config/latest/APIReference/API_RecordingGroup.html."""
    group = recorder.recording_group
    excluded = (group.exclusion_by_resource_types or {}).get("resourceTypes") or []
    return recorder.status.recording and (
        ROLE in (group.resource_types or [])
        or bool(group.all_supported and group.include_global_resource_types)
        or bool(excluded and ROLE not in excluded)
    )


def _is_about_roles(call: Call, *resource_types: str) -> bool:
    """Return whether a call is about roles, which are answered here instead of by moto.

    Raises:
        AwsError: The account has no recorder in this region.
    """
    if set(resource_types) != {ROLE}:
        return False
    if not config_backends[call.account_id][call.region].recorders:
        raise AwsError(
            "NoAvailableConfigurationRecorderException",
            "There are no configuration recorders available to provide the requested operation.",
        )
    return True


def _page(call: Call, key: str, entries: list[dict[str, Any]], size: int) -> dict[str, Any]:
    """Return one page with these operations' spelling of the token."""
    answer = page(key, entries, call.parameters.get("nextToken"), size)
    return {"nextToken" if name == "NextToken" else name: value for name, value in answer.items()}
