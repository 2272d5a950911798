"""Check that a version can be released, and write its notes.

Usage:
    release.py VERSION              pyproject.toml, CHANGELOG.md and docs/UPGRADE.md are about this version
    release.py VERSION --notes FILE write its part of the changelog, too
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
# https://semver.org, without build metadata: git tags and Python versions have none.
_SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?")
_DATED = r"^## {version} - (\d{{4}}-\d\d-\d\d)\n(?P<notes>.*?)(?=^## |\Z)"


def problems(root: Path, version: str) -> list[str]:
    """Return what keeps the version from being released, each with what to do."""
    if not _SEMANTIC.fullmatch(version):
        return [f"{version} is no semantic version, such as 1.2.0: name the tag vX.Y.Z."]
    found = []
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if project["version"] != version:
        found.append(f"pyproject.toml: version is {project['version']}: set it to {version}.")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not notes(changelog, version).strip():
        found.append(f'CHANGELOG.md: turn "## Unreleased" into "## {version} - DATE", and add an empty "Unreleased".')
    unreleased = re.search(r"^## Unreleased\n(.*?)^## ", changelog, re.MULTILINE | re.DOTALL)
    if unreleased is None or unreleased[1].strip():
        found.append(f'CHANGELOG.md: "Unreleased" must be there and empty: its lines belong to {version}.')
    if f"## {version}\n" not in (root / "docs" / "UPGRADE.md").read_text(encoding="utf-8"):
        found.append(f'docs/UPGRADE.md: add "## {version}", with what users have to do, or that it is nothing.')
    return found


def notes(changelog: str, version: str) -> str:
    """Return the part of the changelog about a version; empty without one that has a date."""
    found = re.search(_DATED.format(version=re.escape(version)), changelog, re.MULTILINE | re.DOTALL)
    return found["notes"] if found else ""


def main() -> int:
    """Return 1 if the version cannot be released."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    parser.add_argument("--notes", type=Path)
    arguments = parser.parse_args()
    found = problems(REPOSITORY, arguments.version)
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)  # noqa: T201
    if not found and arguments.notes:
        arguments.notes.parent.mkdir(parents=True, exist_ok=True)
        text = notes((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), arguments.version)
        arguments.notes.write_text(text.strip() + "\n", encoding="utf-8")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
