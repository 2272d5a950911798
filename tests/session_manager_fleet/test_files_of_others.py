"""Files that others can write: links, pipes, devices and foreign names in them are refused, and nothing leaks."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from session_manager_fleet.accounts.file import from_file
from session_manager_fleet.accounts.model import Account
from session_manager_fleet.cli.app import run as command
from session_manager_fleet.errors import InputError
from session_manager_fleet.files import make_private_folder, open_private, read_regular, refuse_links, write_private
from session_manager_fleet.run.folder import JournalError, RunFolder
from session_manager_fleet.run.run_lock import RunLock
from session_manager_fleet.targets.model import Target
from session_manager_fleet.targets.tfvars import TfvarsRenderer

TARGET = Target(Account("111122223333", "Payments"), "eu-west-1", "eu-west-1")
SECRET = "SECRET_X=AKIASECRET"
ACCOUNTS = "accounts: [{id: 111122223333, name: Payments}]\n"


@pytest.fixture
def umask_of_anybody() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "environ"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


@pytest.fixture
def project(tmp_path: Path, settings_file: Callable[[str], Path]) -> Path:
    """A folder with organization.yaml and the accounts that it names."""
    settings_file("")
    (tmp_path / "accounts.yaml").write_text(ACCOUNTS)
    return tmp_path


@pytest.mark.usefixtures("umask_of_anybody")
def test_every_new_parent_is_private_whatever_the_umask(tmp_path: Path) -> None:
    write_private(tmp_path / "a" / "b" / "report.html", "x")
    run = RunFolder.create(tmp_path / "c" / "runs")
    run.target_folder(TARGET)
    RunLock.take(tmp_path / "d" / "runs", "r").release()

    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(folders) >= 9
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_only_regular_files_are_opened_and_none_blocks(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x" * 2**20 + "y")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for path, problem in {
        tmp_path / "pipe": "not a file",
        Path("/dev/zero"): "not a file",
        tmp_path: "not a file",
        tmp_path / "file": "larger than 1 MiB",
    }.items():
        with pytest.raises(OSError, match=problem):
            read_regular(path, megabytes=1, follow_links=True)
    with pytest.raises(OSError, match="it is a link"):
        read_regular(tmp_path / "link", megabytes=2)
    with pytest.raises(OSError, match="it is a link"):
        open_private(tmp_path / "link", os.O_WRONLY | os.O_TRUNC)
    with pytest.raises(OSError, match=r"not a file|No such device"):
        open_private(tmp_path / "pipe", os.O_WRONLY)
    with pytest.raises(OSError, match="it is a link"):
        refuse_links(tmp_path / "link" / "x", below=tmp_path)
    assert len(read_regular(tmp_path / "link", megabytes=2, follow_links=True)) == 2**20 + 1
    with pytest.raises(NotADirectoryError):
        make_private_folder(tmp_path / "file" / "x")


@pytest.mark.parametrize(
    "name", ["../../../../escaped", "/etc/escaped", "..", ".", "", "a/b", "a\0b", "a\nb", ".hidden"]
)
def test_a_worker_chooses_no_path(tmp_path: Path, name: str) -> None:
    run = RunFolder.create(tmp_path / "runs")

    with pytest.raises(JournalError, match="a path for a name"):
        run.keep(TARGET, {"tfplan": b"x", name: b"x"})

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("linked", ["terraform.log", "../eu-west-1", "../../111122223333"])
def test_nothing_of_a_worker_is_written_through_a_link(tmp_path: Path, secret: Path, linked: str) -> None:
    run = RunFolder.create(tmp_path / "runs")
    link = Path(os.path.normpath(run.path / TARGET.key / linked))
    make_private_folder(link.parent)
    link.symlink_to(secret if linked == "terraform.log" else secret.parent)

    with pytest.raises(JournalError, match="it is a link"):
        run.keep(TARGET, {"terraform.log": b"x"})

    assert [path.read_text() for path in secret.parent.rglob("*") if path.is_file()] == [SECRET]


# --- Accounts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["link", "device", "pipe", "folder"])
def test_an_accounts_file_is_a_regular_file_in_its_folder(
    project: Path, secret: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = project / "project" / "accounts.yaml"
    path.parent.mkdir()
    (project / "organization.yaml").rename(path.parent / "organization.yaml")
    if kind in {"link", "device"}:
        path.symlink_to(secret if kind == "link" else "/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()

    assert command(["-c", str(path.parent / "organization.yaml"), "targets"]) == 64

    error = capsys.readouterr().err
    assert "accounts.yaml: " in error
    assert "SECRET" not in error


@pytest.mark.parametrize("text", [f"{SECRET}\0HOME=/x", "root:$6$abc:1:2", "hunter2\n", "TOKEN=abc,name,id\n1,2,3\n"])
def test_a_foreign_file_is_not_quoted(tmp_path: Path, text: str) -> None:
    for name in ("accounts.csv", "accounts.yaml"):
        path = tmp_path / name
        path.write_text(text)

        with pytest.raises(InputError) as caught:
            from_file(path)

        assert f"{path}:1" in str(caught.value)
        assert not [word for word in ("SECRET", "$6$", "hunter2", "TOKEN") if word in str(caught.value)]


def test_a_file_of_the_landing_zone_is_in_its_folder(
    project: Path, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = project / "organization.yaml"
    config.write_text(config.read_text().replace("source: file, path: accounts.yaml", "source: lza, path: lza"))
    (project / "lza").mkdir()
    (project / "lza" / "accounts-config.yaml").symlink_to(secret)

    assert command(["-c", str(config), "targets"]) == 64

    assert "accounts-config.yaml: A link leads out of the folder" in capsys.readouterr().err


# --- Templates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["env.j2", "terraform.tfvars.j2", "folder"])
def test_a_template_reads_no_file_through_a_link(tmp_path: Path, secret: Path, name: str) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    included = "folder/environ" if name == "folder" else "env.j2"
    (templates / "terraform.tfvars.j2").write_text(f'{{% include "{included}" %}}')
    (templates / name).unlink(missing_ok=True)
    (templates / name).symlink_to(secret.parent if name == "folder" else secret)

    with pytest.raises(InputError, match="A link leads out of the folder") as caught:
        TfvarsRenderer("organization.yaml", templates)._template.render()

    assert SECRET not in str(caught.value)


def test_templates_outside_of_the_folder_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = project / "inner"
    inner.mkdir()
    (project / "templates").mkdir()
    (inner / "accounts.yaml").write_text(ACCOUNTS)
    text = (project / "organization.yaml").read_text()
    for templates in ("../templates", str(project / "templates"), "linked"):
        (inner / "organization.yaml").write_text(f"{text}rendering: {{templates: {templates}}}\n")
        if templates == "linked":
            (inner / "linked").symlink_to(project / "templates")

        assert command(["-c", str(inner / "organization.yaml"), "targets"]) == 64

        assert "The folder of templates must be below that of this file" in capsys.readouterr().err


# --- Rendered files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["", "111122223333", "111122223333/eu-west-1.tfvars"])
@pytest.mark.parametrize("options", [[], ["--check"]])
def test_render_follows_no_link(
    project: Path, secret: Path, capsys: pytest.CaptureFixture[str], level: str, options: list[str]
) -> None:
    link = project / "rendered" / level
    make_private_folder(link.parent)
    link.symlink_to(secret if level.endswith(".tfvars") else secret.parent)
    config = project / "organization.yaml"

    assert command(["-c", str(config), "render", "--all", "--output", str(project / "rendered"), *options]) == 64

    shown = capsys.readouterr()
    assert f"{link}: Nothing is read or written here: it is a link" in shown.err
    assert SECRET not in shown.out
    assert [path.name for path in secret.parent.rglob("*")] == ["environ"]
