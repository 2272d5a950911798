"""A discovery in a file: it reads back as it was saved, or is refused."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from session_manager_fleet.accounts.model import LOG_ARCHIVE, MANAGEMENT, ROLES, STATES, Account, Organization
from session_manager_fleet.accounts.snapshot import from_saved, save
from session_manager_fleet.errors import InputError

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
_ACCOUNTS = st.builds(
    Account,
    id=st.from_regex(r"[0-9]{12}", fullmatch=True, alphabet="0123456789"),
    name=_TEXT,
    email=_TEXT,
    ou=_TEXT,
    state=st.sampled_from(STATES),
    tags=st.dictionaries(_TEXT, _TEXT),
    role=st.sampled_from(["", *ROLES]),
    ignored=st.just("") | _TEXT,
)
_ORGANIZATIONS = st.builds(
    Organization,
    id=st.none() | _TEXT,
    accounts=st.lists(_ACCOUNTS, min_size=1, max_size=3, unique_by=lambda account: account.id).map(tuple),
    organizational_units=st.lists(_TEXT, max_size=3).map(tuple),
    home_region=st.none() | _TEXT,
    regions=st.lists(_TEXT, max_size=3).map(tuple),
    has_tags=st.booleans(),
    warnings=st.lists(_TEXT, max_size=2).map(tuple),
)


def test_files_of_earlier_versions_still_read(tmp_path: Path) -> None:
    """`golden/organization.json` was written by the code of commit 4cadb3f."""
    golden = Path(__file__).parent / "golden" / "organization.json"

    organization = from_saved(golden)
    save(organization, tmp_path / "organization.json")

    assert (tmp_path / "organization.json").read_bytes() == golden.read_bytes()
    assert (organization.id, organization.home_region, len(organization.accounts)) == ("o-exampleorgid", "eu-west-1", 5)
    assert organization.accounts[1] == Account(
        "111122223333",
        "Payments Prod",
        email="payments@example.com",
        ou="Workloads/Prod",
        tags={"data": "restricted", "cost centre": "é 42"},
    )
    assert [account.role for account in organization.accounts] == [MANAGEMENT, "", "", LOG_ARCHIVE, ""]
    assert [bool(account.skip_reason) for account in organization.accounts] == [False, False, True, False, True]


@given(_ORGANIZATIONS)
def test_what_was_saved_comes_back(tmp_path_factory: pytest.TempPathFactory, organization: Organization) -> None:
    path = tmp_path_factory.getbasetemp() / "organization.json"

    save(organization, path)

    assert from_saved(path) == organization


def test_only_the_owner_can_read_it(tmp_path: Path, organization: Organization) -> None:
    path = tmp_path / "run" / "organization.json"

    save(organization, path)
    save(organization, path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["organization.json"]
    assert json.loads(path.read_text())["schema_version"] == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda saved: saved.update(schema_version=2),
            "(schema_version): Input should be 1. This file is no discovery saved",
        ),
        (lambda saved: saved.pop("schema_version"), "(schema_version): Field required."),
        (lambda saved: saved.pop("regions"), ": Keys are missing. This file is no discovery saved"),
        (lambda saved: saved.update(extra=1), "(extra): Unexpected keyword argument."),
        (lambda saved: saved["accounts"][0].update(extra=1), "(accounts[0].extra): Unexpected keyword argument."),
        (lambda saved: saved.update(accounts=[]), ": The file holds no accounts."),
        (
            lambda saved: saved["accounts"][1].update(id=111122223333),
            "(accounts[1].id): Input should be a valid string.",
        ),
        (
            lambda saved: saved["accounts"][1].update(id="1111222233334"),
            "(accounts[1].id): String should match pattern",
        ),
        (lambda saved: saved["accounts"][0].update(role="boss"), "(accounts[0].role): String should match pattern"),
        (lambda saved: saved["accounts"][0].pop("state"), ": Keys are missing."),
        (lambda saved: saved["accounts"].append(saved["accounts"][0]), ": Account 100000000001 is listed twice."),
    ],
)
def test_refused_files(
    tmp_path: Path, organization: Organization, change: Callable[[dict[str, Any]], object], problem: str
) -> None:
    path = tmp_path / "organization.json"
    save(organization, path)
    saved = json.loads(path.read_text())
    change(saved)
    path.write_text(json.dumps(saved))

    with pytest.raises(InputError) as caught:
        from_saved(path)

    assert str(caught.value).removeprefix(str(path)).lstrip().startswith(problem)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"{}", b"null", b"[" * 100_000])
def test_files_that_are_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "organization.json"
    path.write_bytes(content)

    with pytest.raises(InputError, match=r"organization\.json"):
        from_saved(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.json: The file does not exist"):
        from_saved(tmp_path / "absent.json")
