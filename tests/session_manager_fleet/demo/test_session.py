"""The folder of an emulated organization is removed, also after its command was killed."""

import fcntl
from pathlib import Path

from session_manager_fleet.demo.session import _remove_left_behind


def test_what_a_killed_command_left_behind_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("sandbox-killed", "sandbox-runs", "20261124T090000Z-a1b2"):
        (tmp_path / name / "aws").mkdir(parents=True)
        (tmp_path / name / "in-use").touch()
    (tmp_path / "sandbox-of-mine").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "in-use").touch()
    (tmp_path / "sandbox-link").symlink_to(tmp_path / "elsewhere")
    with (tmp_path / "sandbox-runs" / "in-use").open("rb") as at_work:
        fcntl.flock(at_work, fcntl.LOCK_EX)

        _remove_left_behind(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {
        "sandbox-runs",
        "sandbox-of-mine",
        "sandbox-link",
        "elsewhere",
        "20261124T090000Z-a1b2",
    }
    assert (tmp_path / "elsewhere" / "in-use").exists()
