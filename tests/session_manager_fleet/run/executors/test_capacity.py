"""How much is done at once follows from processors and free memory."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from session_manager_fleet.run.executors import capacity
from session_manager_fleet.run.executors.capacity import (
    COLLECT_LATE,
    Capacity,
    available_cores,
    available_memory,
    measure_capacity,
)

GIBIBYTE = 1024**3


@pytest.mark.parametrize(
    ("cores", "gibibytes", "expected"),
    [
        (2, 16.0, Capacity(3, 6, COLLECT_LATE)),
        (2, 2.0, Capacity(2, 2)),
        (8, 4.0, Capacity(8, 8)),
        (64, 256.0, Capacity(96, 192, COLLECT_LATE)),
        (2, 1.2, Capacity(1, 1)),
        (2, 0.1, Capacity(1, 1)),
        (1, 64.0, Capacity(1, 3, COLLECT_LATE)),
    ],
)
def test_workers_are_bound_by_cores_and_by_memory(
    monkeypatch: pytest.MonkeyPatch, cores: int, gibibytes: float, expected: Capacity
) -> None:
    monkeypatch.setattr(capacity, "available_cores", lambda: cores)
    monkeypatch.setattr(capacity, "available_memory", lambda: int(gibibytes * GIBIBYTE))

    assert measure_capacity() == expected


def test_a_given_number_of_workers_wins_and_garbage_is_collected_more_where_memory_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(capacity, "available_cores", lambda: 2)
    monkeypatch.setattr(capacity, "available_memory", lambda: 4 * GIBIBYTE)

    assert measure_capacity(20) == Capacity(20, 20)
    assert measure_capacity(3) == Capacity(3, 3, COLLECT_LATE)


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [
        ("3000", "1000", 2000),
        ("9000000", "1000", 5000),
        ("max", "1000", 5000),
        (None, None, 5000),
        ("3000", None, 5000),
    ],
    ids=["in a container", "the machine is smaller", "no limit", "no container", "half a container"],
)
def test_a_containers_limit_counts(
    monkeypatch: pytest.MonkeyPatch, limit: str | None, used: str | None, expected: int
) -> None:
    files = {"memory.max": limit, "memory.current": used}

    def read_text(path: Path) -> str:
        text = files[path.name]
        if text is None:
            raise FileNotFoundError(path)
        return text

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5000))
    monkeypatch.setattr(Path, "read_text", read_text)

    assert available_memory() == expected


def test_this_machine_can_be_measured() -> None:
    assert available_cores() >= 1
    assert available_memory() > 0
    assert measure_capacity().plan_workers >= 1
