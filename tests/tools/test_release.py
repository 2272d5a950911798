"""tools/release.py: what keeps a version from being released."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

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


@pytest.mark.parametrize(
    ("without", "other", "found"),
    [
        ("", {}, []),
        ("METADATA", {}, ["METADATA does not state version 1.2.0"]),
        ("", {"METADATA": "Name: x\nVersion: 1.1.0\n"}, ["METADATA does not state version 1.2.0"]),
        ("main.tf", {}, ["main.tf is missing"]),
        ("", {"lambda.zip": "of an earlier build"}, ["modules/preferences/lambda.zip is another one than"]),
    ],
)
def test_the_wheel_is_the_version_and_holds_the_root(
    project: Path, without: str, other: dict[str, str], found: list[str]
) -> None:
    (project / "modules" / "preferences").mkdir(parents=True)
    (project / "main.tf").write_text("# root")
    (project / "modules" / "preferences" / "lambda.zip").write_text("package")
    packaged = PurePosixPath("session_manager_fleet", "root")
    held = {
        "session_manager_fleet-1.2.0.dist-info/METADATA": "Name: x\nVersion: 1.2.0\n",
        f"{packaged}/main.tf": "# root",
        f"{packaged}/modules/preferences/lambda.zip": "package",
    }
    with zipfile.ZipFile(project / "session_manager_fleet-1.2.0-py3-none-any.whl", "w") as archive:
        for name, content in held.items():
            last = name.rpartition("/")[2]
            if last != without:
                archive.writestr(name, other.get(last, content))

    problems = release.wheel_problems(project, "1.2.0", project)

    assert len(problems) == len(found)
    assert all(text in problem for text, problem in zip(found, problems, strict=True))


def test_a_version_without_its_wheel_is_refused(project: Path) -> None:
    (problem,) = release.wheel_problems(project, "1.2.0", project)
    assert problem.endswith("session_manager_fleet-1.2.0-py3-none-any.whl: there is no such file: run make wheel.")
