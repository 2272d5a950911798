"""Say what to type where the scripts' Python packages are missing; every other Python can read this file."""

import contextlib
import shlex
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_USAGE = 64


@contextlib.contextmanager
def explained():  # type: ignore[no-untyped-def]  # noqa: ANN201 - Python 3.11 and older Pythons both read it
    """Exit with the line to type instead of a traceback if an import in the block fails for lack of a package."""
    try:
        yield
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if sys.version_info >= (3, 11) and (not missing or (_ROOT / "scripts" / missing).exists()):
            raise
        what = f"the Python package {missing} is missing" if sys.version_info >= (3, 11) else sys.version.split()[0]
        quoted = [shlex.quote(str(part)) for part in (_ROOT, _ROOT / ".venv" / "bin" / "python")]
        sys.stderr.write(f"Error: This Python cannot run it ({what}); the environment of the project can.\n")
        sys.stderr.write(f"Next: make -C {quoted[0]} venv && {quoted[1]} {shlex.join(sys.argv)}\n")
        sys.exit(_USAGE)
