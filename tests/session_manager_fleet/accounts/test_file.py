"""Accounts from a YAML or CSV file: the same checks, the same result."""

import contextlib
import csv
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import yaml
from hypothesis import given, strategies as st

from session_manager_fleet.accounts.file import from_file
from session_manager_fleet.accounts.model import LOG_ARCHIVE, Account, Organization
from session_manager_fleet.errors import InputError

Write = Callable[[str, str], Path]


def refused(path: Path) -> list[str]:
    """Return the problems of a file."""
    with pytest.raises(InputError) as caught:
        from_file(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_a_file_of_accounts(write: Write) -> None:
    path = write(
        "accounts.yaml",
        """\
        accounts:
          - {id: 444455556666, name: Logs, ou: Security/, role: log-archive}
          - id: "111122223333"
            name: Payments Prod
            email: payments@example.com
            ou: /Workloads/Prod/EU
            state: suspended
            tags: {data: restricted, "cost centre": "42"}
          - {id: 012345670123, name: Octal}
        """,
    )

    assert from_file(path) == Organization(
        id=None,
        accounts=(
            Account("012345670123", "Octal"),
            Account(
                "111122223333",
                "Payments Prod",
                email="payments@example.com",
                ou="Workloads/Prod/EU",
                state="SUSPENDED",
                tags={"data": "restricted", "cost centre": "42"},
            ),
            Account("444455556666", "Logs", ou="Security", role=LOG_ARCHIVE),
        ),
        organizational_units=("Security", "Workloads", "Workloads/Prod", "Workloads/Prod/EU"),
    )


@pytest.mark.parametrize(
    ("account", "problem"),
    [
        ("{name: a}", '2 (accounts[0].id): "" is not an account id; write twelve digits.'),
        ("{id: 1111, name: a}", '2 (accounts[0].id): "1111" is not an account id; write twelve digits.'),
        ("{id: 1111-2222-3333, name: a}", '2 (accounts[0].id): "1111-2222-3333" is not an account id'),
        ("{id: '111122223333 ', name: a}", '2 (accounts[0].id): "111122223333 " is not an account id'),
        ('{id: "\u0661\u0661\u0661\u0661222233334444", name: a}', "2 (accounts[0].id): "),
        ('{id: "11112222333\\n", name: a}', "2 (accounts[0].id): "),
        ("{id: [111122223333], name: a}", "2 (accounts[0].id): "),
        ("{id: 111122223333}", "2 (accounts[0].name): The account has no name."),
        ("{id: 111122223333, name: ''}", "2 (accounts[0].name): The account has no name."),
        ("{id: 111122223333, name: 5}", '2 (accounts[0].name): "name" must be a string.'),
        ("{id: 111122223333, name: a, email: [b]}", '2 (accounts[0].email): "email" must be a string.'),
        ("{id: 111122223333, name: a, ou: 7}", '2 (accounts[0].ou): "ou" must be a string.'),
        ("{id: 111122223333, name: a, ou: }", '2 (accounts[0].ou): "ou" must be a string.'),
        ("{id: 111122223333, name: a, state: true}", '2 (accounts[0].state): "state" must be a string.'),
        ("{id: 111122223333, name: a, state: ACTIVATED}", '2 (accounts[0].state): Unknown state "ACTIVATED"; use one'),
        ("{id: 111122223333, name: a, role: logs}", '2 (accounts[0].role): Unknown role "logs"; use one of management'),
        ("{id: 111122223333, name: a, role: []}", '2 (accounts[0].role): "role" must be a string.'),
        ("{id: 111122223333, name: a, regions: eu-west-1}", "2 (accounts[0].regions): Regions must be a list"),
        ("{id: 111122223333, name: a, regions: []}", "2 (accounts[0].regions): Regions must be a list"),
        (
            "{id: 111122223333, name: a, regions: [eu-wst-1]}",
            '2 (accounts[0].regions): "eu-wst-1" is not an AWS region',
        ),
        ("{id: 111122223333, name: a, regions: [eu-west-1, eu-west-1]}", "2 (accounts[0].regions): A region is listed"),
        (
            "{id: 111122223333, name: a, tags: [b]}",
            "2 (accounts[0].tags): Tags must be a mapping of strings",
        ),
        (
            "{id: 111122223333, name: a, tags: {b: 1}}",
            "2 (accounts[0].tags): Tags must be a mapping of strings",
        ),
        (
            "{id: 111122223333, nme: a, name: a}",
            '2 (accounts[0].nme): Unknown key "nme" (did you mean "name"?).',
        ),
        ("111122223333", "2 (accounts[0]): An account must be a mapping with at least id and name."),
        ("~", "2 (accounts[0]): An account must be a mapping with at least id and name."),
    ],
)
def test_refused_accounts(write: Write, account: str, problem: str) -> None:
    path = write("accounts.yaml", f"accounts:\n  - {account}\n")

    assert any(line.startswith(f"accounts.yaml:{problem}") for line in refused(path))


def test_a_duplicate_account_names_both_lines(write: Write) -> None:
    path = write(
        "accounts.yaml",
        """\
        accounts:
          - {id: 111122223333, name: a}
          - {id: 444455556666, name: b}
          - {id: "111122223333", name: c}
        """,
    )

    assert refused(path) == ["accounts.yaml:4 (accounts[2].id): Account 111122223333 is listed twice, first on line 2."]


def test_all_problems_of_a_file_are_told_at_once(write: Write) -> None:
    path = write("accounts.yaml", "accounts:\n  - {id: 1, name: a}\n  - {id: 2}\nother: 1\n")

    assert [problem.split(":")[1].split(" ")[0] for problem in refused(path)] == ["2", "3", "3", "4"]


def test_an_answer_of_the_organizations_api_is_recognised(write: Write) -> None:
    with pytest.raises(InputError, match='write "source: organizations", which reads both'):
        from_file(write("accounts.yaml", '{"Accounts": [{"Id": "111122223333", "Name": "a"}]}'))


@pytest.mark.parametrize("text", ["", "[]", "accounts:", "accounts: []", "accounts: {a: b}", "acounts: [{id: 1}]", "5"])
def test_a_file_without_accounts_is_refused(write: Write, text: str) -> None:
    with pytest.raises(InputError, match=r'accounts\.yaml:1: The file must have a list "accounts"'):
        from_file(write("accounts.yaml", text))


# --- CSV ---------------------------------------------------------------------------------------------------------


def test_a_csv_file_says_the_same_as_yaml(tmp_path: Path) -> None:
    path = tmp_path / "accounts.CSV"
    path.write_bytes(
        b"\xef\xbb\xbfname, id ,email,tag:data,ou,state,role,tag:cost centre\r\n"
        b'"Payments, ""Prod""",111122223333,payments@example.com,restricted,/Workloads/Prod,suspended,,42\r\n'
        b",,,,,,,\r\n"
        b"\r\n"
        b"Logs,012345670123,,,Security/,,log-archive,\r\n"
    )

    assert from_file(path) == Organization(
        id=None,
        accounts=(
            Account("012345670123", "Logs", ou="Security", role=LOG_ARCHIVE),
            Account(
                "111122223333",
                'Payments, "Prod"',
                email="payments@example.com",
                ou="Workloads/Prod",
                state="SUSPENDED",
                tags={"data": "restricted", "cost centre": "42"},
            ),
        ),
        organizational_units=("Security", "Workloads", "Workloads/Prod"),
    )


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ['1: The column "id" is missing.', '1: The column "name" is missing.']),
        (
            "id,nme\n1,a\n",
            ['1: Unknown column "nme" (did you mean "name"?); the columns', '1: The column "name" is missing.'],
        ),
        (
            "id;name\n",
            ['1: Unknown column "id;name" (did you mean "name"?); the columns are id, name, email, ou'],
        ),
        ("id,name,tag:\n", ['1: Unknown column "tag:"; the columns']),
        ("id,name,name\n", ['1: Duplicate column "name".']),
        ("id,name\n", ["1: The file has no accounts below its header."]),
        (
            "id,name\n11112222333,a\n",
            ['2 (id): "11112222333" is not an account id; write twelve digits. A spreadsheet may have dropped'],
        ),
        ("id,name\n1.11122E+11,a\n", ['2 (id): "1.11122E+11" is not an account id; write twelve digits.']),
        ("id,name\n111122223333,a,b\n", ["2: The row has 3 cells, the header 2; quote values that contain commas."]),
        (
            "id,name,role\n111122223333,,logs\n",
            ["2 (name): The account has no", '2 (role): Unknown role "logs"; use one'],
        ),
        ("id,name,state\n111122223333,a,gone\n", ['2 (state): Unknown state "gone"; use one of ACTIVE,']),
        (
            'id,name\n111122223333,"two\nlines"\n\n111122223333,a\n',
            ["5 (id): Account 111122223333 is listed twice, first on line 2."],
        ),
        ('id,name\n111122223333,a\n222233334444,"b\n', ["3: This is not valid CSV: unexpected end of data."]),
        ('id,name\n111122223333,"a"b\n', ["2: This is not valid CSV: "]),
        ("id,name\n111122223333," + "a" * 200_000, ["2: This is not valid CSV: field larger than field limit"]),
    ],
)
def test_refused_csv_files(tmp_path: Path, text: str, problems: list[str]) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text(text, encoding="utf-8")

    told = refused(path)
    for problem in problems:
        assert any(line.startswith(f"accounts.csv:{problem}") for line in told), told


@pytest.mark.parametrize("name", ["accounts.csv", "accounts.yaml"])
def test_files_that_are_no_text_or_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        from_file(tmp_path / name)

    (tmp_path / name).write_bytes(b"id,name\n\xff\xfe")
    with pytest.raises(InputError, match=r":2: This line is not UTF-8"):
        from_file(tmp_path / name)


_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
_ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"id": st.from_regex(r"[0-9]{12}", fullmatch=True, alphabet="0123456789"), "name": _TEXT},
        optional={
            "email": _TEXT,
            "ou": _TEXT,
            "state": st.sampled_from(["active", "SUSPENDED", "closed"]),
            "role": st.sampled_from(["audit", "management"]),
            "tags": st.dictionaries(st.sampled_from(["data", "cost centre", "ümlaut"]), _TEXT),
        },
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda entry: str(entry["id"]),
)


@given(_ENTRIES)
def test_both_forms_of_any_accounts_are_equal(
    tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "accounts.yaml").write_text(yaml.safe_dump({"accounts": entries}), encoding="utf-8")
    columns = ["id", "name", "email", "ou", "state", "role", "tag:data", "tag:cost centre", "tag:ümlaut"]
    with (folder / "accounts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        for entry in entries:
            tags = cast("dict[str, str]", entry.get("tags", {}))
            cells = {key: value for key, value in entry.items() if key != "tags"}
            writer.writerow(cells | {f"tag:{key}": value for key, value in tags.items()})

    assert from_file(folder / "accounts.csv") == from_file(folder / "accounts.yaml")


@given(st.text())
def test_no_text_whatever_ends_in_anything_but_accounts_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    for content in (text, f"id,name\n{text}"):
        path = tmp_path_factory.getbasetemp() / "anything.csv"
        path.write_bytes(content.encode("utf-8", "replace"))
        with contextlib.suppress(InputError):
            assert from_file(path).accounts


def test_the_regions_of_an_account(write: Write, tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text(
        "id,name,regions\n111122223333,a,eu-west-1 ap-south-2\n222233334444,b,\n", encoding="utf-8"
    )
    text = (
        "accounts:\n  - {id: 111122223333, name: a, regions: [eu-west-1, ap-south-2]}\n"
        "  - {id: 222233334444, name: b}\n"
    )

    for path in (tmp_path / "accounts.csv", write("accounts.yaml", text)):
        assert [account.regions for account in from_file(path).accounts] == [("eu-west-1", "ap-south-2"), ()]
