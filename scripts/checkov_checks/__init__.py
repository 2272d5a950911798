"""Checks for checkov of what its built-in checks cannot see in a configuration of Session Manager.

checkov loads this folder with `--external-checks-dir`; docs/checkov.md lists the checks.
"""

from pathlib import Path

__all__ = [file.stem for file in sorted(Path(__file__).parent.glob("*.py")) if file.stem != "__init__"]
