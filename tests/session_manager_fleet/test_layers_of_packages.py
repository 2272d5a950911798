"""The direction of imports: a package imports only from those above it, and from others by their public names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import session_manager_fleet

LIBRARY = Path(session_manager_fleet.__file__).parent
GROUND = ("errors", "files", "credentials", "aws", "yaml_source", "hcl")
# As in docs/architecture.md, which a test of the documentation compares.
PACKAGES = (
    *("accounts", "settings", "targets", "changes", "terraform", "preferences"),
    *("run", "verify", "reports", "demo", "cli"),
)
ORDER = (*GROUND, *PACKAGES)


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, with the imported names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_room_of_the_library_has_its_place_in_the_order() -> None:
    rooms = {path.stem for path in LIBRARY.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__init__", "__pycache__", "py", "README"} == set(ORDER)
    assert len([path for path in LIBRARY.iterdir() if path.name != "__pycache__"]) <= 20


def test_a_package_imports_only_what_is_above_it_and_only_public_names() -> None:
    wrong = []
    for path in sorted(LIBRARY.rglob("*.py")):
        here = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
        for name in imports(path):
            library, _, rest = name.partition(".")
            if library != "session_manager_fleet" or here == "__init__":
                continue
            there, *deeper = rest.split(".")
            if there == here:
                continue
            if ORDER.index(there) > ORDER.index(here):
                wrong.append(f"{path.relative_to(LIBRARY)} imports {name}, which is below it")
            if there in PACKAGES and len(deeper) > 1:
                wrong.append(f"{path.relative_to(LIBRARY)} imports {name}, which is not a public name of {there}")
    assert wrong == []


def test_the_emulator_and_the_function_know_nothing_of_the_library() -> None:
    for folder in (LIBRARY.parent / "aws_sandbox", LIBRARY.parents[1] / "lambda_src"):
        knowing = [path.name for path in folder.rglob("*.py") for name in imports(path) if "_fleet" in name]
        assert knowing == [], folder


def test_a_package_says_its_public_names() -> None:
    """An `__init__` re-exports names, each as `from module import name as name` (PEP 484), and does nothing else."""
    for package in PACKAGES:
        tree = ast.parse((LIBRARY / package / "__init__.py").read_text(encoding="utf-8"))
        assert ast.get_docstring(tree)
        assert tree.body[1:], package
        for node in tree.body[1:]:
            assert isinstance(node, ast.ImportFrom), f"{package}: {ast.unparse(node)}"
            assert all(alias.asname == alias.name for alias in node.names), f"{package}: {ast.unparse(node)}"
