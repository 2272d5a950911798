"""KMS operations that take a key by its ARN, too, where moto takes its id only.

See https://docs.aws.amazon.com/kms/latest/developerguide/find-cmk-id-arn.html.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from moto.kms.models import KmsBackend

_OPERATIONS = ("enable_key", "disable_key", "cancel_key_deletion", "schedule_key_deletion")


def install() -> None:
    """Let moto's operations take ARNs."""
    for name in _OPERATIONS:
        setattr(KmsBackend, name, _by_arn(getattr(KmsBackend, name)))


def _by_arn(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(backend: KmsBackend, key_id: str, *rest: Any) -> Any:  # noqa: ANN401 - as the method
        return method(backend, key_id.rpartition("/")[2], *rest)

    return call
