"""The rendered tfvars files of all targets: compare them with the files on disk, and write them."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from session_manager_fleet.aws import partitions
from session_manager_fleet.errors import InputError
from session_manager_fleet.files import read_regular, refuse_links, write_private
from session_manager_fleet.settings import EffectiveSettings, Roles, Settings
from session_manager_fleet.targets.model import Target
from session_manager_fleet.targets.tfvars import HEADER, TfvarsRenderer

_LARGEST_MEGABYTES = 16


def renderer_of(settings: Settings, templates: Path | None = None) -> TfvarsRenderer:
    """Return the renderer for an organization.

    Args:
        settings: organization.yaml, which may name a folder of templates.
        templates: Folder of templates to use instead.

    Raises:
        InputError: The user's template is missing or malformed.
    """
    return TfvarsRenderer(settings.document.path.name, templates or settings.templates)


@dataclass(frozen=True)
class RenderedFile:
    """A tfvars file: rendered text and text on disk.

    Attributes:
        path: Path of the file.
        text: Rendered text; empty for a stale file.
        current: Text on disk; None if the file does not exist.
        stale: No target is rendered to this path any more.
    """

    path: Path
    text: str
    current: str | None
    stale: bool = False

    @property
    def differs(self) -> bool:
        """Whether the file must be written or removed."""
        return self.stale or self.text != self.current

    def diff(self) -> list[str]:
        """Return the lines of a unified diff from the text on disk to the rendered text."""
        before, after = _lines(self.current or ""), _lines(self.text)
        names = (f"{self.path} (on disk)", f"{self.path} (rendered)")
        return [line for part in difflib.unified_diff(before, after, *names, lineterm="") for line in part.split("\n")]


def _lines(text: str) -> list[str]:
    """Return the lines of a file; a last line without a newline is marked as in every diff."""
    *lines, last = text.split("\n")
    return [*lines, f"{last}\n\\ No newline at end of file"] if last else lines


def render(
    renderer: TfvarsRenderer,
    settings_of: Callable[[Target], EffectiveSettings],
    roles: Roles,
    targets: Sequence[Target],
    folder: Path,
    *,
    find_stale: bool,
) -> list[RenderedFile]:
    """Render the tfvars of all targets, `<folder>/<account>/<region>.tfvars`, without writing them.

    Args:
        renderer: The renderer.
        settings_of: Returns the settings of a target.
        roles: The roles in every account.
        targets: The targets.
        folder: Folder of the files.
        find_stale: Also return files of targets that no longer exist.

    Raises:
        InputError: The settings of a target conflict, the user's template fails, or a link is in the way.
    """
    rendered = []
    for target in targets:
        path = folder / f"{target.key}.tfvars"
        _refuse_links(path, folder)
        text = renderer.render(target, settings_of(target), roles)
        rendered.append(RenderedFile(path, text, _read(path) if path.is_file() else None))
    if find_stale:
        expected = {file.path for file in rendered}
        found = sorted(set(folder.glob("[0-9]" * 12 + "/*.tfvars")) - expected)
        for path in found:
            _refuse_links(path, folder)
        rendered.extend(RenderedFile(path, "", _read(path), stale=True) for path in found if _is_rendered(path))
    return rendered


def _refuse_links(path: Path, folder: Path) -> None:
    try:
        refuse_links(path, below=folder)
    except OSError as error:
        message = f"Nothing is read or written here: {error.strerror}. Name the folder itself with --output."
        raise InputError(message, str(error.filename)) from error


def _is_rendered(path: Path) -> bool:
    """Return whether a file was rendered, by its name and its first words; hand-written files are left alone."""
    return path.stem in partitions() and path.is_file() and _read(path).startswith(HEADER)


def _read(path: Path) -> str:
    return read_regular(path, megabytes=_LARGEST_MEGABYTES).decode("utf-8", errors="replace")


def write_rendered(files: Sequence[RenderedFile], *, prune: bool) -> None:
    """Write the files that differ, and with `prune` remove stale ones and the folders that they leave empty."""
    for file in files:
        if not file.stale:
            if file.differs:
                write_private(file.path, file.text)
        elif prune:
            file.path.unlink()
            if not any(file.path.parent.iterdir()):
                file.path.parent.rmdir()
