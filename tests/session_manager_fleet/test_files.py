"""Files that only their owner can read."""

import os
import stat
from pathlib import Path

import pytest

from session_manager_fleet.files import write_private


def test_written_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "accounts" / "111122223333" / "eu-west-1.tfvars"
    before = os.umask(0)
    try:
        write_private(path, "first\n")
        path.chmod(0o644)
        write_private(path, "second é\n")
    finally:
        os.umask(before)

    assert path.read_text(encoding="utf-8") == "second é\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "terraform.tfvars"
    write_private(path, "whole\n")

    with pytest.raises(UnicodeEncodeError):
        write_private(path, "half \ud800")

    assert path.read_text(encoding="utf-8") == "whole\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    before = os.lstat("/dev/null")
    with (tmp_path / "out").open("w") as file:
        write_private(Path(f"/dev/fd/{file.fileno()}"), "text")
        write_private(Path("/dev/null"), "text")

    assert (tmp_path / "out").read_text() == "text"
    assert os.lstat("/dev/null").st_ino == before.st_ino
    with pytest.raises(OSError, match="No such file"):
        write_private(Path("/dev/no-such-device"), "text")
