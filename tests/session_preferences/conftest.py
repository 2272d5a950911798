"""The suite of the Lambda function runs against the package that AWS runs, not against the sources."""

from __future__ import annotations

from pathlib import Path

import session_preferences
from tools import lambda_package

# pyproject.toml puts the package first on the path.
assert Path(session_preferences.__file__).is_relative_to(lambda_package.PACKAGE), session_preferences.__file__
assert lambda_package.is_current(), "modules/preferences/lambda.zip is stale: run python scripts/package_lambda.py"
