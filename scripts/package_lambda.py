#!/usr/bin/env python3
"""Build the Lambda package of the preferences module, or check that the committed one is current."""

from __future__ import annotations

import argparse
import sys

from tools import lambda_package


def main() -> int:
    """Return 0 when the package is current at the end, 1 when --check finds it stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the package is stale")
    package = lambda_package.PACKAGE.relative_to(lambda_package.REPOSITORY)
    if not parser.parse_args().check:
        lambda_package.write()
    elif not lambda_package.is_current():
        sys.stderr.write(f"{package} does not match lambda_src: run python scripts/package_lambda.py and commit it.\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
