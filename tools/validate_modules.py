#!/usr/bin/env python3
"""Validate every Terraform folder of the project with terraform itself."""

import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from session_manager_fleet.errors import FleetError, TerraformError
from session_manager_fleet.run import measure_capacity
from session_manager_fleet.terraform import RootModule, Terraform, child_environment, find_terraform


def terraform_folders(root: Path) -> list[Path]:
    """Return the root module, all reusable modules and all examples."""
    candidates = [root, *sorted((root / "modules").iterdir()), *sorted((root / "examples").iterdir())]
    return [folder for folder in candidates if any(folder.glob("*.tf"))]


def validate(root: Path) -> Iterator[tuple[Path, TerraformError | None]]:
    """Validate each folder without a backend; yields every folder with what is wrong with it.

    Raises:
        InputError: There is no usable terraform, or TF_PLUGIN_MIRROR is wrong.
    """
    binary, capacity = find_terraform(), measure_capacity()
    with tempfile.TemporaryDirectory() as scratch:
        environment = child_environment(os.environ, Path(scratch), capacity.go_runtime)

        def check(numbered: tuple[int, Path]) -> TerraformError | None:
            number, folder = numbered
            terraform = Terraform(
                binary=binary, root=RootModule(folder), data_folder=Path(scratch) / str(number), environment=environment
            )
            try:
                terraform.validate(Path(scratch) / f"{number}.log", root / ".terraform.lock.hcl")
            except TerraformError as error:
                return error
            return None

        folders = terraform_folders(root)
        with ThreadPoolExecutor(capacity.plan_workers) as pool:
            yield from zip(folders, pool.map(check, enumerate(folders)), strict=True)


def main() -> int:
    """Return 1 if any folder is invalid, 64 if terraform or the provider cannot be used."""
    root = Path(__file__).resolve().parents[1]
    failed = False
    try:
        for folder, error in validate(root):
            name = folder.relative_to(root)
            print(f"{name}: {error or 'valid'}", *(error.diagnostics if error else ()), sep="\n  ")  # noqa: T201
            failed = failed or error is not None
    except FleetError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
