"""How many targets to work on at once, from the processors and the free memory of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

_GIBIBYTE = 1024**3

# Measured with terraform 1.11 and hashicorp/aws 5.100: memory of one run with Go's default garbage collector and with
# GOGC=400, which saves a seventh of the processor time.
_BYTES_PER_RUN = 0.35 * _GIBIBYTE
_BYTES_PER_FAST_RUN = 0.5 * _GIBIBYTE
_RESERVED_BYTES = 1.0 * _GIBIBYTE

# A plan is bound by the processor, an apply waits for AWS two thirds of the time.
_PLANS_PER_CORE = 1.5
_APPLIES_PER_CORE = 3.0


@dataclass(frozen=True)
class Capacity:
    """What this machine can carry.

    Attributes:
        plan_workers: Concurrent terraform plans.
        apply_workers: Concurrent terraform applies.
        gogc: Value for Go's GOGC in the children, or None for the default.
    """

    plan_workers: int
    apply_workers: int
    gogc: str | None


def available_memory() -> int:
    """Return the bytes that may still be used, also within a container's limit."""
    available = psutil.virtual_memory().available
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    try:
        return min(available, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return available


def available_cores() -> int:
    """Return the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measure_capacity(workers: int | None = None) -> Capacity:
    """Return how much to do at once; `workers` overrides the measurement."""
    memory = max(0.0, available_memory() - _RESERVED_BYTES)
    cores = available_cores()
    plan_workers = workers or max(1, min(int(cores * _PLANS_PER_CORE), int(memory / _BYTES_PER_RUN)))
    apply_workers = workers or max(1, min(int(cores * _APPLIES_PER_CORE), int(memory / _BYTES_PER_RUN)))
    fast = memory >= max(plan_workers, apply_workers) * _BYTES_PER_FAST_RUN
    return Capacity(plan_workers, apply_workers, "400" if fast else None)
