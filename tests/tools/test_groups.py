"""Tests that share an expensive fixture run in one process."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="there is one process only")
def test_the_processes_know_the_groups(request: pytest.FixtureRequest) -> None:
    """pytest-xdist finds the group of a test in its node id; without it, each process would apply everything again."""
    assert request.node.nodeid.endswith("@tools/test_groups.py")
