#!/usr/bin/env python3
"""Write the inputs and outputs of each Terraform module into its README, or check that they are current."""

from __future__ import annotations

import argparse
import sys

from tools import terraform_docs as module_docs
from session_manager_fleet.errors import InputError


def main() -> int:
    """Return 0 when all READMEs are current at the end, 1 when --check finds a stale one, 64 when one is impossible."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a README is stale")
    check = parser.parse_args().check
    try:
        stale = module_docs.stale()
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    for readme, text in stale.items():
        if check:
            name = readme.relative_to(module_docs.REPOSITORY)
            sys.stderr.write(f"{name} does not match its module: run python scripts/module_docs.py and commit it.\n")
        else:
            readme.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
