"""Build the Lambda package: a zip whose bytes follow from the sources alone, so that it can be committed and checked.

Entries are the source files byte for byte: what runs is what was reviewed. They are stored, not compressed (the bytes
of a compressed entry depend on the zlib version), sorted by name, with one fixed time and one fixed mode.
"""

import argparse
import io
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "lambda_src" / "session_preferences"
PACKAGE = REPOSITORY / "modules" / "preferences" / "lambda.zip"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
_UNIX = 3
_MODE = 0o100644 << 16  # a regular file that its owner may write and everybody may read


def build(source: Path = SOURCE) -> bytes:
    """Return the package of one Python package folder: its .py files, under the folder's own name.

    Raises:
        FileNotFoundError: the folder holds no Python file.
    """
    files = sorted(source.rglob("*.py"))
    if not files:
        raise FileNotFoundError(f"{source} holds no Python file to package.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as package:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(source.parent).as_posix(), _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _MODE
            package.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def is_current(source: Path = SOURCE, package: Path = PACKAGE) -> bool:
    """Return whether the package on disk is exactly what the sources give."""
    return package.is_file() and package.read_bytes() == build(source)


def write(source: Path = SOURCE, package: Path = PACKAGE) -> None:
    """Replace the package on disk by a current one, atomically."""
    draft = package.with_suffix(".zip.new")
    draft.write_bytes(build(source))
    draft.replace(package)


def main() -> int:
    """Return 0 when the package is current at the end, 1 when --check finds it stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the package is stale")
    package = PACKAGE.relative_to(REPOSITORY)
    if not parser.parse_args().check:
        write()
    elif not is_current():
        sys.stderr.write(f"{package} does not match lambda_src: run python scripts/package_lambda.py and commit it.\n")
        return 1
    return 0
