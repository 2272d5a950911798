"""The native tests of the modules (`terraform test`), and how they are written."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

MODULES = sorted(path for path in (Path(__file__).parents[2] / "modules").iterdir() if (path / "main.tf").exists())


@pytest.fixture(scope="module")
def said(in_account: object, sandbox: object) -> dict[str, str]:
    """What `terraform test` says in a copy of each module, several at once."""
    there: Terraform = in_account(sandbox.organization.members[0].id)  # type: ignore[operator, attr-defined]
    roots = {path.name: replace(there, folder=there.folder / "modules" / path.name) for path in MODULES}
    for root in roots.values():
        root.init()
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(roots, pool.map(lambda root: root.succeed("test"), roots.values()), strict=True))


@pytest.mark.terraform
@pytest.mark.parametrize("module", [path.name for path in MODULES])
def test_the_native_tests_pass(said: dict[str, str], module: str) -> None:
    runs = len(re.findall(r"^run ", native(module), re.MULTILINE))
    assert f"{runs} passed, 0 failed" in said[module]


def native(module: str) -> str:
    files = sorted((MODULES[0].parent / module / "tests").glob("*.tftest.hcl"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("module", [path.name for path in MODULES])
def test_native_tests_need_no_credentials_name_sentences_and_expect_refusals(module: str) -> None:
    text = native(module)
    assert 'mock_provider "aws"' in text
    assert "expect_failures" in text
    names = re.findall(r'^run "(\w+)"', text, re.MULTILINE)
    assert len(names) >= 3
    assert all(len(name.split("_")) >= 5 for name in names), names
    assert len(re.findall(r"command = plan", text)) == len(names)


def test_mocks_that_modules_share_are_the_same_text() -> None:
    """Each module's tests hold them, so that they run in a copy of its folder alone; a change has to reach all."""
    mocks: dict[str, dict[str, list[str]]] = {}
    for module in (path.name for path in MODULES):
        for kind, content in re.findall(
            r'^  mock_data "(\w+)" \{\n(.*?)^  \}', native(module), re.MULTILINE | re.DOTALL
        ):
            mocks.setdefault(kind, {}).setdefault(content, []).append(module)

    assert len(mocks["aws_partition"].popitem()[1]) == len(MODULES)
    assert {kind: texts for kind, texts in mocks.items() if len(texts) > 1} == {}
