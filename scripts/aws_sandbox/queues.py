"""Queues that keep their policy when other attributes are set; moto deletes it."""

from __future__ import annotations

from typing import Any

from moto.sqs import models
from moto.sqs.models import Queue


class KeepingQueue(Queue):
    """moto's queue, whose attributes last until they are set again."""

    def _set_attributes(self, attributes: dict[str, Any], now: float | None = None) -> None:
        kept = getattr(self, "_policy_json", None)
        super()._set_attributes(attributes, now)
        if kept is not None and "Policy" not in attributes:
            self._policy_json = kept


def install() -> None:
    """Replace moto's class for queues."""
    models.Queue = KeepingQueue  # type: ignore[misc]
