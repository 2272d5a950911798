"""Fixtures that several folders of tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from aws_sandbox import Sandbox, default_organization

# In this order several processes take the tests up, so that none is left with minutes to go: first the longest files.
_LONGEST = ("test_preferences_lifecycle", "test_demo", "test_readme", "test_resume")
_ORDER = ("e2e", "modules", "judges", "aws_sandbox", "session_preferences", "session_manager_fleet", "tools")
_HERE = Path(__file__).parent
# Files that meet in the same emulated organization, in this order.
_SHARING = {"test_faults", "test_guards", "test_rollout"}


# A shell that starts commands in the background makes them and all that they start ignore Ctrl-C, nohup hang-ups; a
# terminal does not, and neither must the tests of interruptions.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests belong into one process when several run them: those that share what is expensive, or a state."""
    items.sort(key=_turn)
    for item in items:
        folder, file = _folder(item), item.path.stem
        if folder == "judges" or (folder == "e2e" and file in _SHARING):
            group = folder
        elif file in {"test_demo", "test_resume"}:
            group = item.name
        else:
            group = str(item.path.relative_to(_HERE))
        item.add_marker(pytest.mark.xdist_group(group))


def _turn(item: pytest.Item) -> tuple[int, int]:
    file = item.path.stem
    return _LONGEST.index(file) if file in _LONGEST else len(_LONGEST), _ORDER.index(_folder(item))


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(_HERE).parts[0]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The default emulated organization, one for the whole run: leave its accounts as you found them."""
    with Sandbox.start(default_organization(), tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def member(sandbox: Sandbox) -> boto3.Session:
    """A session in the home region of a member account."""
    return sandbox.session(sandbox.organization.members[0].id, sandbox.organization.home_region)
