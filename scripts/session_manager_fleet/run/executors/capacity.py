"""Number of concurrent targets, from the processors and the free memory of this machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_GIBIBYTE = 1024**3

# Where memory is plenty, Go collects garbage only when a process nears a gibibyte, as no plan does; that saves a
# quarter of its processor time. Without the limit it could take all memory.
COLLECT_LATE: Mapping[str, str] = {"GOGC": "off", "GOMEMLIMIT": "1GiB"}

# Measured with terraform 1.11 and hashicorp/aws 5.100: private memory of terraform and its provider at most, with Go's
# defaults and with those.
_BYTES_PER_RUN = 0.35 * _GIBIBYTE
_BYTES_PER_FAST_RUN = 0.9 * _GIBIBYTE
_RESERVED_BYTES = 1.0 * _GIBIBYTE

# A plan is bound by the processor, an apply waits for AWS two thirds of the time.
_PLANS_PER_CORE = 1.5
_APPLIES_PER_CORE = 3.0


@dataclass(frozen=True)
class Capacity:
    """Capacity of this machine.

    Attributes:
        plan_workers: Concurrent terraform plans.
        apply_workers: Concurrent terraform applies.
        go_runtime: Environment of the children that tells Go's runtime how to use the memory.
    """

    plan_workers: int
    apply_workers: int
    go_runtime: Mapping[str, str] = field(default_factory=dict)


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
    """Return the capacity of this machine; `workers` overrides the measured numbers."""
    memory = max(0.0, available_memory() - _RESERVED_BYTES)
    cores = available_cores()
    plan_workers = workers or max(1, min(int(cores * _PLANS_PER_CORE), int(memory / _BYTES_PER_RUN)))
    apply_workers = workers or max(1, min(int(cores * _APPLIES_PER_CORE), int(memory / _BYTES_PER_RUN)))
    fast = memory >= max(plan_workers, apply_workers) * _BYTES_PER_FAST_RUN
    return Capacity(plan_workers, apply_workers, COLLECT_LATE if fast else {})
