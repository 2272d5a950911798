"""Check that a version can be released, and write its notes.

Usage:
    release.py VERSION                  pyproject.toml, CHANGELOG.md and docs/UPGRADE.md are about this version
    release.py VERSION --notes FILE     write its part of the changelog, too
    release.py VERSION --wheels FOLDER  its wheel is in the folder, and holds the root module as it is here
"""

import argparse
import re
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

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


def wheel_problems(root: Path, version: str, folder: Path) -> list[str]:
    """Return what is wrong with the wheel of a version: its name, its metadata, or the root module in it."""
    wheel = folder / f"session_manager_fleet-{version}-py3-none-any.whl"
    if not wheel.is_file():
        return [f"{wheel}: there is no such file: run make wheel."]
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        metadata = f"session_manager_fleet-{version}.dist-info/METADATA"
        stated = archive.read(metadata).decode() if metadata in held else ""
        found = (
            [] if f"\nVersion: {version}\n" in stated else [f"{wheel}: {metadata} does not state version {version}."]
        )
        for file in [*sorted(root.glob("*.tf")), root / "modules" / "preferences" / "lambda.zip"]:
            packaged = str(PurePosixPath("session_manager_fleet", "root", file.relative_to(root).as_posix()))
            if packaged not in held:
                found.append(f"{wheel}: {packaged} is missing.")
            elif archive.read(packaged) != file.read_bytes():
                found.append(
                    f"{wheel}: {packaged} is another one than {file}: remove build/ and dist/, run make wheel."
                )
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
    parser.add_argument("--wheels", type=Path)
    arguments = parser.parse_args()
    found = problems(REPOSITORY, arguments.version)
    if not found and arguments.wheels:
        found = wheel_problems(REPOSITORY, arguments.version, arguments.wheels)
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)  # noqa: T201
    if not found and arguments.notes:
        arguments.notes.parent.mkdir(parents=True, exist_ok=True)
        text = notes((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), arguments.version)
        arguments.notes.write_text(text.strip() + "\n", encoding="utf-8")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
