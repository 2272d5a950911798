"""Which form of AWS's Guard engine the emulator uses, and what it says where there is none."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws_sandbox import GUARD_MISSING, find_guard_engine
from aws_sandbox.guard import GuardBinary, GuardError, GuardLibrary
from session_manager_fleet.demo import evaluation_unavailable

POLICY = 'rule named when resourceType == "AWS::IAM::Role" { resourceName == /^web/ }'


@pytest.fixture(autouse=True)
def search_again() -> Iterator[None]:
    find_guard_engine.cache_clear()
    yield
    find_guard_engine.cache_clear()


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without the library, whose interpreter has nothing beside it."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cfn_guard_rs" else find_spec(name))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))


def program(folder: Path, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "cfn-guard"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


@pytest.mark.skipif(importlib.util.find_spec("cfn_guard_rs") is None, reason="no wheel for this Python")
def test_the_library_goes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path, "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = find_guard_engine()

    assert isinstance(engine, GuardLibrary)
    item = {"resourceType": "AWS::IAM::Role", "resourceName": "web"}
    assert engine.evaluate(item, POLICY) == "PASS"
    assert engine.evaluate({**item, "resourceName": "db"}, POLICY) == "FAIL"
    assert engine.evaluate({"resourceType": "AWS::IAM::User"}, POLICY) == "SKIP"


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize("place", ["bin", "elsewhere"])
def test_the_binary_beside_python_or_on_the_path_is_next(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(tmp_path / place, """cat >/dev/null; echo '[{"status": "FAIL"}]'; exit 19""")
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "elsewhere"), os.defpath]))
    engine = find_guard_engine()

    assert isinstance(engine, GuardBinary)
    assert engine.evaluate({}, POLICY) == "FAIL"
    assert evaluation_unavailable() == ""


def test_a_binary_that_fails_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(GuardError, match=r"^broken$"):
        GuardBinary(str(program(tmp_path, "cat >/dev/null; echo broken >&2; exit 5"))).evaluate({}, POLICY)
    with pytest.raises(GuardError, match="exit code 3"):
        GuardBinary(str(program(tmp_path, "cat >/dev/null; exit 3"))).evaluate({}, POLICY)
    with pytest.raises(GuardError, match="cfn-guard fails"):
        GuardBinary(str(tmp_path / "none" / "cfn-guard")).evaluate({}, POLICY)


@pytest.mark.usefixtures("no_library")
def test_without_an_engine_the_demo_has_a_reason_to_leave_the_evaluation_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_guard_engine() is None
    assert evaluation_unavailable() == GUARD_MISSING
    assert "cfn-guard on the PATH" in GUARD_MISSING
