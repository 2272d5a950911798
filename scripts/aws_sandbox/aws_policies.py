"""AWS's managed policies for the agent of managed nodes; moto loads all of AWS's policies, or none."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend, ManagedPolicy

CORE = "AmazonSSMManagedInstanceCore"
HOST_MANAGEMENT = "AmazonSSMManagedEC2InstanceDefaultPolicy"


def install() -> None:
    """Give every account these policies."""
    IAMBackend._init_aws_policies = _policies  # type: ignore[assignment, method-assign]  # noqa: SLF001


def _policies(backend: IAMBackend) -> list[ManagedPolicy]:
    return [
        AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, _data()[name])
        for name in (CORE, HOST_MANAGEMENT)
    ]


@cache
def _data() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(aws_managed_policies_data)
    return {name: known[name] for name in (CORE, HOST_MANAGEMENT)}
