"""The Markdown pages of the project: their links, paths and commands exist."""

import re
import subprocess
from pathlib import Path

import pytest

from session_manager_fleet.cli.app import app
from session_manager_fleet.reports.text import FAILURE_HEADINGS

PROJECT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=PROJECT,
    capture_output=True,
    text=True,
    check=True,
).stdout.splitlines()
PAGES = [PROJECT / name for name in TRACKED if not name.startswith("tests/") and name != "CHANGELOG.md"]
FOLDERS = "scripts|tools|tests|docs|modules|lambda_src|examples"
COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_and_paths_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [
        link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link and not link.startswith("../blob/")
    ]
    assert [link for link in links if not (page.parent / link).exists()] == []
    paths = re.findall(rf"(?<![\w/.…])(?:{FOLDERS})/[\w./-]*[\w/]", text)
    assert [path for path in paths if not (PROJECT / path).exists() and not (page.parent / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"rollout\.py(?: -c \S+| --read-from \S+)* ([a-z]+)", text)
    assert sorted(set(named) - set(COMMANDS)) == []
    targets = re.findall(r"^([a-z0-9.-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    asked = re.findall(r"(?:`|^)make ([a-z0-9.-]*[a-z0-9])", text, flags=re.MULTILINE)
    assert sorted(set(asked) - set(targets)) == []


def test_the_reports_name_failures_as_documented() -> None:
    runs = (PROJECT / "docs" / "runs.md").read_text(encoding="utf-8")
    documented = dict(
        re.findall(r"^\| `(\w+)` \| ([^|]+) \|", runs.partition("kinds of failures")[2], flags=re.MULTILINE)
    )
    assert {kind: documented.get(kind) for kind in FAILURE_HEADINGS} == dict(FAILURE_HEADINGS)


def test_the_readme_lists_every_command() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if not re.search(rf"`{name}\b|rollout\.py {name}\b", readme)] == []
