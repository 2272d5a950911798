"""Fixtures that several folders of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from fleet.sandbox import Sandbox, default_organization


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The default emulated organization, one for the whole run: leave its accounts as you found them."""
    with Sandbox.start(default_organization(), tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def member(sandbox: Sandbox) -> boto3.Session:
    """A session in the home region of a member account."""
    return sandbox.session(sandbox.organization.members[0].id, sandbox.organization.home_region)
