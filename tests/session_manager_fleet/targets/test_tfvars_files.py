"""Rendered files against what is on the disk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from session_manager_fleet.accounts.model import Organization
from session_manager_fleet.settings.layers import Settings
from session_manager_fleet.targets import tfvars
from session_manager_fleet.targets.model import Selection, Target, select_targets
from session_manager_fleet.targets.tfvars import HEADER, TEMPLATE
from session_manager_fleet.targets.tfvars_files import RenderedFile, render, renderer_of, write_rendered

Render = Callable[..., list[RenderedFile]]


@pytest.fixture
def render_all(tmp_path: Path, make_settings: Callable[[str], Settings], organization: Organization) -> Render:
    """Render the targets of an account to the folder `out`."""

    def render_all(name: str = "*", rest: str = "") -> list[RenderedFile]:
        settings = make_settings(rest)
        return render(
            renderer_of(settings),
            lambda target: settings.effective(target.account, target.region),
            settings.organization.roles,
            targets(settings, organization, name),
            tmp_path / "out",
            find_stale=True,
        )

    return render_all


def targets(settings: Settings, organization: Organization, name: str) -> list[Target]:
    everything = select_targets(
        organization,
        home_region="eu-west-1",
        regions=["eu-west-1", "us-east-1"],
        waves=settings.waves,
        selection=Selection(everything=True),
    ).targets
    return [target for target in everything if name in {"*", target.account.name}]


def states(files: list[RenderedFile]) -> dict[str, str]:
    return {
        f"{file.path.parent.name}/{file.path.stem}": "stale" if file.stale else "differs" if file.differs else "same"
        for file in files
    }


def test_files_are_written_once_and_found_stale_when_their_target_is_gone(tmp_path: Path, render_all: Render) -> None:
    write_rendered(render_all(), prune=False)

    assert set(states(render_all()).values()) == {"same"}
    of_one = states(render_all("Management"))
    assert {key: state for key, state in of_one.items() if state != "stale"} == {
        "100000000001/eu-west-1": "same",
        "100000000001/us-east-1": "same",
    }
    assert len(of_one) == 8

    write_rendered(render_all("Management"), prune=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["100000000001"]


def test_what_else_is_in_a_folder_stays(tmp_path: Path, render_all: Render) -> None:
    write_rendered(render_all(), prune=False)
    notes = tmp_path / "out" / "111122223333" / "notes.md"
    notes.write_text("ours", encoding="utf-8")
    elsewhere = tmp_path / "out" / "shared" / "common.tfvars"
    elsewhere.parent.mkdir()
    elsewhere.write_text("", encoding="utf-8")

    write_rendered(render_all("Management"), prune=True)

    assert notes.read_text(encoding="utf-8") == "ours"
    assert [path.name for path in notes.parent.iterdir()] == ["notes.md"]
    assert elsewhere.exists()


def test_what_a_person_wrote_is_neither_stale_nor_removed(tmp_path: Path, render_all: Render) -> None:
    write_rendered(render_all(), prune=False)
    folder = tmp_path / "out" / "111122223333"
    rendered = (folder / "eu-west-1.tfvars").read_text(encoding="utf-8")
    written = {"eu-west-3.tfvars": 'account_id = "111122223333"\n', "common.tfvars": rendered}
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "us-west-2.tfvars").mkdir()
    (folder / "us-west-1.tfvars").write_text(rendered, encoding="utf-8")

    files = render_all("Management")
    write_rendered(files, prune=True)

    assert {f"111122223333/{region}" for region in ("eu-west-1", "us-east-1", "us-west-1")} == {
        key for key, state in states(files).items() if state == "stale" and key.startswith("1111")
    }
    assert {path.name for path in folder.iterdir()} == {*written, "us-west-2.tfvars"}


def test_the_built_in_template_begins_as_rendered_files_do() -> None:
    assert (Path(tfvars.__file__).parent / "templates" / TEMPLATE).read_text(encoding="utf-8").startswith(HEADER)


@pytest.mark.parametrize(
    ("current", "text", "lines"),
    [
        ("a\nb", "a\nb\n", [" a", "-b", "\\ No newline at end of file", "+b"]),
        ("a\n", "a\nb", [" a", "+b", "\\ No newline at end of file"]),
        ("a\x0bb\r\n", "a\x0bc\n", ["-a\x0bb\r", "+a\x0bc"]),
        (None, "a\n", ["+a"]),
    ],
)
def test_a_difference_is_shown_line_by_line(current: str | None, text: str, lines: list[str]) -> None:
    assert RenderedFile(Path("a.tfvars"), text, current).diff()[3:] == lines


def test_other_line_ends_are_a_difference(tmp_path: Path, render_all: Render) -> None:
    write_rendered(render_all("Management"), prune=False)
    path = tmp_path / "out" / "100000000001" / "eu-west-1.tfvars"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert states(render_all("Management"))["100000000001/eu-west-1"] == "differs"


def test_templates_named_in_the_settings_are_used(tmp_path: Path, render_all: Render) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "terraform.tfvars.j2").write_text(
        "owner = {{ target.account.name | hcl }}\n", encoding="utf-8"
    )

    files = render_all("Log Archive", "rendering: {templates: mine}")

    assert {file.text for file in files} == {'owner = "Log Archive"\n'}
