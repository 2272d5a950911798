"""Working folders of applies: each apply has its own, because terraform writes a state that it cannot save there."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from session_manager_fleet.terraform.root_module import RootModule

# Terraform's file name for a state that it cannot save.
UNSAVED_STATE = "errored.tfstate"
_PREFIX = "apply-"


@contextmanager
def working_folder(root: RootModule, place: Path) -> Iterator[Path]:
    """Create a working folder for one apply, with links to everything that terraform reads of the root module.

    A state that terraform cannot save always has the same name, so applies that run at the same time must not share a
    folder. It is moved to `place` before the folder is removed.
    """
    folder = Path(tempfile.mkdtemp(dir=place, prefix=_PREFIX))
    try:
        for source in (*root.files, root.modules):
            (folder / source.name).symlink_to(source.resolve())
        yield folder
    finally:
        unsaved_state(place)
        shutil.rmtree(folder, ignore_errors=True)


def unsaved_state(place: Path) -> Path | None:
    """Return the file with a state that an apply could not save, or None.

    An apply that outlived its killed rollout left the file in its working folder; it is moved to `place`, the target's
    folder.
    """
    kept = place / UNSAVED_STATE
    for left in place.glob(f"{_PREFIX}*/{UNSAVED_STATE}"):
        if not kept.exists() and not left.is_symlink() and not left.parent.is_symlink():
            left.chmod(0o600)
            left.replace(kept)
    return kept if kept.exists() else None
