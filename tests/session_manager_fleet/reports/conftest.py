"""Fixtures that the tests of several pages share."""

import os
from collections.abc import Callable
from functools import partial

import pytest

from tests.session_manager_fleet.reports.pages import show
from tools.browser import SKIPPED, find_browser

Browse = Callable[..., tuple[str, list[str]]]


@pytest.fixture(scope="session")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Browse:
    """Show a page in Chromium; return the content around it, with what the probe has seen, and the console."""
    binary = find_browser()
    if binary is None:
        assert os.environ.get("CI") != "true", SKIPPED
        pytest.skip(SKIPPED)
    return partial(show, binary, tmp_path_factory.mktemp("chromium"))
