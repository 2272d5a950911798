"""The configuration in a saved plan is compared with the root module, in archives of every kind."""

import json
import re
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from session_manager_fleet.errors import InputError
from session_manager_fleet.terraform import ROOT_MODULE, RootModule, other_configuration
from session_manager_fleet.terraform.saved_configuration import _own_folders
from tests.saved_plans import save_plan

MAIN = """module "one" {
  source = "./modules/one"
  count  = 1
}
"""
ONE = """module "two" {
  source = "../two"
}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name, text in {"main.tf": MAIN, "modules/one/main.tf": ONE, "modules/two/main.tf": "# two\n"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def plan(root: Path, tmp_path: Path) -> Path:
    save_plan(tmp_path / "tfplan", root, {"tfplan": "changes"})
    return tmp_path / "tfplan"


def test_the_modules_of_the_root_module_are_found() -> None:
    """Otherwise every plan is refused; e2e tests apply the plans of the real terraform."""
    text = (ROOT_MODULE.path / "main.tf").read_text()
    assert sorted(_own_folders(ROOT_MODULE)) == sorted(["", *re.findall(r'module "(\w+)"', text)])


def test_the_same_configuration_is_no_difference(root: Path, plan: Path) -> None:
    (root / "modules" / "one" / ".hidden.tf").write_text("# which terraform does not read\n")

    assert other_configuration(plan, RootModule(root)) == []


def changed(root: Path, name: str, text: str | None) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        path.unlink()
    else:
        path.write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "differs"),
    [
        ("main.tf", f"{MAIN}# a provisioner\n", ["m-/main.tf"]),
        ("modules/two/main.tf", "# 2\n", ["m-one.two/main.tf"]),
        ("modules/two/more.tf", "# more\n", ["m-one.two/more.tf"]),
        ("modules/two/main.tf", None, ["m-one.two/main.tf"]),
        ("main.tf", MAIN.replace("modules/one", "modules/two"), ["modules.json"]),
        ("main.tf", "# no modules\n", ["modules.json"]),
    ],
)
def test_every_difference_is_found(
    root: Path, plan: Path, tmp_path: Path, name: str, text: str | None, differs: list[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(root, other)
    changed(other, name, text)
    save_plan(tmp_path / "replaced", other)

    assert other_configuration(tmp_path / "replaced", RootModule(root)) == differs
    assert other_configuration(plan, RootModule(other)) == differs


@pytest.mark.parametrize(
    "modules",
    [
        [{"Key": "", "Dir": "."}, {"Key": "one", "Dir": "/elsewhere"}, {"Key": "one.two", "Dir": "modules/two"}],
        [{"Key": "", "Dir": "."}, {"Key": "one", "Dir": "modules/one"}],
        [
            {"Key": "one", "Dir": "/elsewhere"},
            *({"Key": "", "Dir": "."}, {"Key": "one", "Dir": "modules/one"}, {"Key": "one.two", "Dir": "modules/two"}),
        ],
    ],
    ids=["a folder elsewhere", "a module less", "a module twice"],
)
def test_the_folders_of_the_modules_are_compared(
    root: Path, plan: Path, tmp_path: Path, modules: list[dict[str, str]]
) -> None:
    """What modules read from their folder, such as the package of the function, is read from there."""
    replaced = tmp_path / "replaced"
    with zipfile.ZipFile(plan) as archive, zipfile.ZipFile(replaced, "w") as other:
        for entry in archive.infolist():
            content = archive.read(entry) if not entry.filename.endswith("modules.json") else json.dumps(modules)
            other.writestr(entry.filename, content)

    assert other_configuration(replaced, RootModule(root)) == ["modules.json"]


def with_zip64(content: bytes) -> bytes:
    """Return an archive with the records of a ZIP64 directory, which Python uses and Go does not."""
    end = content.index(b"PK\5\6")
    count, size, start = struct.unpack_from("<HLL", content, end + 10)
    record = b"PK\6\6" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, count, count, size, start)
    return content[:end] + record + b"PK\6\7" + struct.pack("<LQL", 0, end, 1) + content[end:]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"PK\5\6" + b"\0" * 18,
        lambda content: content[:-1],
        lambda content: b"prefix" + content,
        lambda content: content[:-2] + b"\2\0ab",
        lambda content: content + content,
        lambda content: content.replace(b"# two", b"# 222"),
        lambda content: content.replace(b"tfconfig/", b"tfconfjg/"),
        lambda content: content.replace(b"[{", b"{["),
        lambda content: content.replace(b"Key", b"Kez"),
        with_zip64,
    ],
)
def test_what_python_and_go_may_read_differently_is_refused(
    root: Path, plan: Path, change: Callable[[bytes], bytes]
) -> None:
    plan.write_bytes(change(plan.read_bytes()))

    with pytest.raises(InputError, match="not a saved plan with its configuration"):
        other_configuration(plan, RootModule(root))


def test_two_files_of_one_name_are_refused(root: Path, plan: Path) -> None:
    with zipfile.ZipFile(plan, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("tfconfig/m-/main.tf", MAIN)

    with pytest.raises(InputError, match="not a saved plan"):
        other_configuration(plan, RootModule(root))


def test_an_archive_that_unpacks_to_more_than_memory_is_refused(root: Path, plan: Path) -> None:
    with zipfile.ZipFile(plan, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tfconfig/m-/zeros.tf", bytes(17 * 1024 * 1024))

    with pytest.raises(InputError, match="not a saved plan"):
        other_configuration(plan, RootModule(root))
