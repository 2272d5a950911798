#!/usr/bin/env python3
"""Build the Lambda package of the preferences module, or check that the committed one is current."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.lambda_package import main

if __name__ == "__main__":
    sys.exit(main())
