"""Saved plans as terraform writes them, for tests in which a script stands in for terraform."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from session_manager_fleet.terraform import RootModule
from session_manager_fleet.terraform.saved_configuration import _own_folders


def save_plan(path: Path, root: Path, others: Mapping[str, str] | None = None) -> None:
    """Save a plan with the configuration of a root module, and with other entries, not compressed, by name."""
    module, folders = RootModule(root), _own_folders(RootModule(root))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (others or {}).items():
            archive.writestr(name, content)
        for address, folder in folders.items():
            for file in module.sources(folder):
                archive.write(file, f"tfconfig/m-{address}/{file.name}")
        entries = [{"Key": address, "Dir": folder} for address, folder in folders.items()]
        archive.writestr("tfconfig/modules.json", json.dumps(entries))
