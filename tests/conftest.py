"""Fixtures that several folders of tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import boto3
import pytest

from fleet.sandbox import Sandbox, default_organization

# Folders in the order in which several processes take them up, the slow ones first.
_ORDER = ("e2e", "terraform", "judges", "sandbox", "session_preferences", "fleet")
# Files that meet in the same emulated organization, in this order.
_SHARING = {"test_faults", "test_guards", "test_rollout"}


# A shell that starts commands in the background makes them ignore Ctrl-C, and all that they start; a terminal does not,
# and neither must the tests of interruptions.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests belong into one process when several run them: those that share what is expensive, or a state."""
    items.sort(key=lambda item: _ORDER.index(item.path.parent.name))
    for item in items:
        folder, file = item.path.parent.name, item.path.stem
        if folder == "judges" or (folder == "e2e" and file in _SHARING):
            group = folder
        elif file == "test_demo":
            group = item.name
        else:
            group = f"{folder}/{file}"
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The default emulated organization, one for the whole run: leave its accounts as you found them."""
    with Sandbox.start(default_organization(), tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def member(sandbox: Sandbox) -> boto3.Session:
    """A session in the home region of a member account."""
    return sandbox.session(sandbox.organization.members[0].id, sandbox.organization.home_region)
