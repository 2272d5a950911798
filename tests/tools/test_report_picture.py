"""The picture of the HTML report: made of an example that has something in every section."""

import os
import re
from pathlib import Path

import pytest

from session_manager_fleet.reports.formats import REPORTS
from session_manager_fleet.run.summary import Summary
from tools import report_picture
from tools.browser import SKIPPED, find_browser

PNG = b"\x89PNG\r\n\x1a\n"
# A README that takes long to load is closed before it is read.
LARGEST = 300_000


def test_the_example_shows_every_section() -> None:
    page = REPORTS["html"](Summary.read(report_picture.SUMMARY))

    sections = re.findall(r'<section id="([a-z]+)">', page)
    assert sections == [
        *("next", "failures", "targets", "changes", "previews", "exceptions", "warnings", "skipped"),
    ]


def test_the_picture_is_committed() -> None:
    content = report_picture.PICTURE.read_bytes()

    assert content.startswith(PNG)
    assert len(content) < LARGEST


def test_the_picture_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_browser() is None:
        assert os.environ.get("CI") != "true", SKIPPED
        pytest.skip(SKIPPED)
    monkeypatch.setattr(report_picture, "PICTURE", tmp_path / "report.png")

    report_picture.main()

    assert (tmp_path / "report.png").read_bytes().startswith(PNG)
