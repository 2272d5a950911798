#!/usr/bin/env python3
"""Run `terraform validate` in the root module, every module and every example."""

import sys
from pathlib import Path

from session_manager_fleet.errors import FleetError
from tools.validation import validate


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
