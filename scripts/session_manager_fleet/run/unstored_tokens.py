"""Retry tokens that could not be stored in the state bucket: the run remembers them until they are.

Without its token, the next plan of a target would show no changes although its preferences may be old.
"""

from collections.abc import Mapping
from pathlib import Path

from session_manager_fleet.errors import AccessError
from session_manager_fleet.files import write_private
from session_manager_fleet.terraform import StateBackend, store_retry_token

NAME = "unstored-retry-token"
_WHERE = f"*/{'[0-9]' * 12}/*/{NAME}"


def remember_unstored(folder: Path) -> None:
    """Remember in the private folder of a target that its retry token could not be stored."""
    write_private(folder / NAME, "")


def with_unstored(tokens: Mapping[str, int], backend: StateBackend, runs: Path) -> dict[str, int]:
    """Return the retry tokens with those that the runs remember; they are stored now if that is allowed.

    Args:
        tokens: Stored tokens by the key of the target.
        backend: Where the states are.
        runs: Folder of all runs.
    """
    marks: dict[str, list[Path]] = {}
    for path in sorted(runs.glob(_WHERE)):
        marks.setdefault(f"{path.parts[-3]}/{path.parts[-2]}", []).append(path)
    found = dict(tokens)
    for key, paths in marks.items():
        found[key] = found.get(key, 0) + 1
        try:
            store_retry_token(backend, key, found[key], "an earlier token could not be stored")
        except AccessError:
            continue  # A plan may lack the permission; its apply finds the same number.
        for path in paths:
            path.unlink(missing_ok=True)
    return found
