"""Fixtures that several folders of tests share."""

import os
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import boto3
import botocore.loaders
import botocore.session
import pytest

from aws_sandbox import Sandbox, default_organization
from session_manager_fleet import aws
from tests import any_machine

# Longest first, so that no process is left alone with minutes of work at the end; then the folders that take longest.
_LONGEST = (
    "e2e/test_terraform_is_the_oracle.py",
    "e2e/test_demo.py",
    "e2e/test_readme.py",
    "modules/test_preferences_lifecycle.py",
    "e2e/test_resume.py",
    "e2e/test_callers.py",
    "e2e/test_access.py",
    "e2e/test_existing.py",
    "e2e/test_getting_started.py",
    "e2e/test_faults.py",
    "modules/test_on_emulator.py",
    "e2e/test_rollout.py",
    "modules/test_configuration.py",
    "session_preferences/test_reconciler.py",
)
# Many short tests that share nothing: any process takes any of them, last, so that all processes end together.
_SHORT = (
    "session_manager_fleet/cli/test_app.py",
    "session_manager_fleet/cli/test_rollout.py",
    "session_manager_fleet/run/test_job.py",
)
_ORDER = (
    *("e2e", "modules", "examples", "judges", "checkov_checks", "aws_sandbox", "session_preferences"),
    *("session_manager_fleet", "workflows", "fuzz", "tools"),
)
_HERE = Path(__file__).parent


any_machine.load()


def _shared_loader(search_path_string: str | None = None) -> botocore.loaders.Loader:  # noqa: ARG001
    """Return the loader of the product: boto3.Session reads the descriptions of services again for each session."""
    return aws._LOADER


# In many tests that was half of the time.
botocore.session.create_loader = _shared_loader

# As in the emulator: five thousand images, which each mock_aws would make again.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

# The tests interrupt processes, which must not inherit that a background shell ignores Ctrl-C, or nohup hang-ups.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests, and group those that share a state or an expensive fixture: one process runs a group."""
    if missing := [file for file in (*_LONGEST, *_SHORT) if not (_HERE / file).is_file()]:
        raise pytest.UsageError(f"tests/conftest.py orders files that do not exist: {', '.join(missing)}.")
    items.sort(key=_position)
    for item in items:
        file = _file(item)
        if file in _SHORT:
            continue
        if file in {"e2e/test_guards.py", "e2e/test_installed.py", "e2e/test_rollout.py"}:
            group = "e2e"
        elif file in {"e2e/test_callers.py", "e2e/test_lifecycle.py"}:
            group = "callers"
        elif file in {"e2e/test_demo.py", "e2e/test_resume.py"}:
            group = item.name
        else:
            group = "judges" if file.startswith("judges/") else file
        item.add_marker(pytest.mark.xdist_group(group))


def _position(item: pytest.Item) -> tuple[int, int]:
    file = _file(item)
    rank = _LONGEST.index(file) if file in _LONGEST else len(_LONGEST) + (file in _SHORT)
    return rank, _ORDER.index(file.partition("/")[0])


def _file(item: pytest.Item) -> str:
    return _relative(item.path)


@cache
def _relative(path: Path) -> str:
    return path.relative_to(_HERE).as_posix()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Start the default emulated organization, one for each process: tests must leave its accounts unchanged."""
    with Sandbox.start(default_organization(), tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def member(sandbox: Sandbox) -> boto3.Session:
    """Return a session in the home region of a member account."""
    return sandbox.session(sandbox.organization.members[0].id, sandbox.organization.home_region)
