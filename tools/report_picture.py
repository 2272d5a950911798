#!/usr/bin/env python3
"""Make docs/report.png: the HTML report of an example run, as Chromium shows it."""

import subprocess
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":  # as a script, Python looks for modules in this folder only
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from session_manager_fleet.reports import REPORTS
from session_manager_fleet.run import Summary
from tools.browser import find_browser

REPOSITORY = Path(__file__).resolve().parents[1]
SUMMARY = REPOSITORY / "tests" / "session_manager_fleet" / "reports" / "golden" / "example.summary.json"
PICTURE = REPOSITORY / "docs" / "report.png"
_SIZE = (1280, 1480)
_SECONDS = 60


def take_picture(browser: str, page: Path, picture: Path) -> None:
    """Write a picture of a page as PNG.

    Args:
        browser: Path of a Chromium.
        page: The HTML file.
        picture: The file to write.

    Raises:
        OSError: The browser cannot be started, or it wrote no picture.
        subprocess.SubprocessError: The browser failed.
    """
    with tempfile.TemporaryDirectory() as profile:
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
            *(f"--user-data-dir={profile}", f"--window-size={_SIZE[0]},{_SIZE[1]}", f"--screenshot={picture}"),
            page.as_uri(),
        ]
        subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
    if not picture.is_file():
        raise FileNotFoundError(picture)


def main() -> None:
    """Write the picture, or say why it cannot be made."""
    browser = find_browser()
    if browser is None:
        sys.exit("No Chromium or Chrome is on the PATH; install one, such as Debian's package chromium.")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(REPORTS["html"](Summary.read(SUMMARY)), encoding="utf-8")
        take_picture(browser, page, PICTURE)


if __name__ == "__main__":
    main()
