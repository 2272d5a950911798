"""tools/release.py: what keeps a version from being released."""

import shutil
from pathlib import Path

import pytest

from tools import release


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that can be released as 1.2.0."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n## 1.2.0 - 2026-11-26\n\n- New.\n\n## 1.1.0\n"
    )
    (tmp_path / "docs" / "UPGRADE.md").write_text("# Upgrade notes\n\n## 1.2.0\n\nNothing.\n")
    return tmp_path


def test_a_version_with_all_its_parts_can_be_released(project: Path) -> None:
    assert release.problems(project, "1.2.0") == []
    assert release.notes((project / "CHANGELOG.md").read_text(), "1.2.0").strip() == "- New."


@pytest.mark.parametrize(
    ("file", "before", "after", "found"),
    [
        ("pyproject.toml", "1.2.0", "1.1.0", "pyproject.toml: version is 1.1.0"),
        ("CHANGELOG.md", " - 2026-11-26", "", 'CHANGELOG.md: turn "## Unreleased"'),
        ("CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- Later.\n", 'CHANGELOG.md: "Unreleased" must be'),
        ("CHANGELOG.md", "## Unreleased\n", "", 'CHANGELOG.md: "Unreleased" must be'),
        ("docs/UPGRADE.md", "## 1.2.0\n", "", 'docs/UPGRADE.md: add "## 1.2.0"'),
    ],
)
def test_what_is_missing_is_named(project: Path, file: str, before: str, after: str, found: str) -> None:
    path = project / file
    path.write_text(path.read_text().replace(before, after))
    (problem,) = release.problems(project, "1.2.0")
    assert problem.startswith(found)


@pytest.mark.parametrize("version", ["1.2", "v1.2.0", "01.2.0", "1.2.0+local"])
def test_other_versions_are_refused(project: Path, version: str) -> None:
    (problem,) = release.problems(project, version)
    assert "is no semantic version" in problem


def test_the_version_of_this_project_has_upgrade_notes(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(release.REPOSITORY / name, tmp_path)
    version = next(
        line.split('"')[1]
        for line in (tmp_path / "pyproject.toml").read_text().splitlines()
        if line.startswith("version")
    )
    upgrade = (release.REPOSITORY / "docs" / "UPGRADE.md").read_text(encoding="utf-8")
    assert f"## {version}\n" in upgrade
    assert release.notes((tmp_path / "CHANGELOG.md").read_text(), version).strip()
