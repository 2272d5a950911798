"""Find a Chromium for the tests of the HTML reports, or install the system's package; say so where there is none."""

import os
import shutil
import subprocess
import sys

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_SECONDS = 600

SKIPPED = (
    "SKIPPED: the tests of the HTML reports in a browser. No Chromium or Chrome was found, and only root can install "
    "one, with apt-get: install it, such as Debian's package chromium."
)


def find_browser() -> str | None:
    """Return the path of a Chromium or Chrome; None if there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return found or next((path for path in _APPLICATIONS if os.access(path, os.X_OK)), None)


def install_browser() -> None:
    """Install Debian's package chromium, as root only.

    Raises:
        OSError, subprocess.SubprocessError: apt-get fails.
    """
    if os.geteuid() == 0 and shutil.which("apt-get"):
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(
                ["apt-get", "--quiet=2", *arguments], stdout=subprocess.DEVNULL, timeout=_SECONDS, check=True
            )


def main() -> None:
    """Install a browser unless there is one; where tests must not be skipped (CI=true), missing it is a failure."""
    if find_browser():
        return
    try:
        install_browser()
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"Chromium cannot be installed: {error}\n")
    if not find_browser():
        sys.stderr.write(f"{SKIPPED}\n")
        sys.exit(os.environ.get("CI") == "true")


if __name__ == "__main__":
    main()
