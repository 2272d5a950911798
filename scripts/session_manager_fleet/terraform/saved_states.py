"""The two states in a saved plan: as it was stored, and with what terraform read of the resources."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from session_manager_fleet.files import open_regular
from session_manager_fleet.terraform.clean_marks import ManagedResource, UnreadableStateError, resources_in
from session_manager_fleet.terraform.saved_configuration import DAMAGED
from session_manager_fleet.terraform.stray_states import LARGEST_STATE_BYTES

_STORED, _READ = "tfstate-prev", "tfstate"


def shown_without_changes(plan: Path) -> dict[str, Any] | None:
    """Return a saved plan without changes as `terraform show` does, as far as its states tell: resources and drift.

    `terraform show` starts the provider for its schema, which costs half of another plan. A plan is a zip archive (see
    `saved_configuration`); both states in it have the form of a stored one.

    Returns:
        The plan; None if the file does not tell, as that of another version or an encrypted one.
    """
    try:
        with open_regular(plan) as file, zipfile.ZipFile(file) as archive:
            stored, read = _resources(archive, _STORED), _resources(archive, _READ)
    except (UnreadableStateError, OSError, *DAMAGED):
        return None
    before = {address: resource.attributes for address, resource in stored.items()}
    return {
        "resource_changes": [_entry(found, found.attributes) for found in read.values()],
        "resource_drift": [
            _entry(found, before.get(address))
            for address, found in read.items()
            if before.get(address) != found.attributes
        ],
    }


def _entry(found: ManagedResource, before: Mapping[str, Any] | None) -> dict[str, Any]:
    change = {"before": before, "after": found.attributes}
    return {"address": found.address, "type": found.type, "mode": "managed", "change": change}


def _resources(archive: zipfile.ZipFile, name: str) -> dict[str, ManagedResource]:
    """Return the resources of a state in the archive by address.

    Raises:
        UnreadableStateError: It is no state.
        LookupError: There is none.
        ValueError: It is too large.
    """
    if archive.getinfo(name).file_size > LARGEST_STATE_BYTES:
        raise ValueError("too large")
    managed, _ = resources_in(archive.read(name))
    return {resource.address: resource for resource in managed}
