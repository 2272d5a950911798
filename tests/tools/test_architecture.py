"""docs/architecture.md and its picture: the packages of the code in their order, with the imports of the code."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.session_manager_fleet.test_layers_of_packages import GROUND, PACKAGES
from tools import architecture

PAGE = (architecture.DOCS / "architecture.md").read_text(encoding="utf-8")


def test_the_page_lists_the_packages_in_the_order_of_their_imports() -> None:
    table = PAGE.partition(architecture.BEGIN)[2].partition(architecture.END)[0]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == ["ground", *PACKAGES]
    for module in GROUND:
        assert f"`{module}`" in PAGE


def test_the_picture_and_the_table_are_current() -> None:
    stale = [path.name for path, text in architecture.current().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "Run `make docs`."


def test_the_picture_has_a_row_for_each_package_and_a_dot_for_each_import() -> None:
    packages = [{"package": "ground", "job": "a"}, {"package": "b", "job": "<b>", "reads": "x", "writes": "y"}]
    picture = ET.fromstring(architecture.draw(packages, {"ground": set(), "b": {"ground"}}))  # noqa: S314 - our own
    svg = "{http://www.w3.org/2000/svg}"
    texts = [text.text for text in picture.iter(f"{svg}text")]
    assert {"ground", "b", "<b>", "x", "y"} <= set(texts)
    assert len([rect for rect in picture.iter(f"{svg}rect") if rect.get("class") == "box"]) == 2
    assert len(list(picture.iter(f"{svg}circle"))) == 1


def test_imports_are_those_of_the_code(tmp_path: Path) -> None:
    library = tmp_path / "library"
    for name in ("one", "two"):
        (library / name).mkdir(parents=True)
    (library / "errors.py").write_text("", encoding="utf-8")
    (library / "two" / "deep.py").write_text(
        "import os\nimport library.errors\nfrom library.one import x\n", encoding="utf-8"
    )
    assert architecture.imported_packages(library, "two") == {"ground", "one"}
    assert architecture.imported_packages(library, "ground") == set()


def test_the_classes_that_the_page_names_exist() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in architecture.LIBRARY.rglob("*.py"))
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", PAGE))
    assert sorted(name for name in named if f"class {name}" not in code) == []
