"""Read accounts from a YAML or CSV file, with the same keys and checks for both."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from session_manager_fleet.accounts.model import ACCOUNT_ID, ACTIVE, ROLES, ROOT, STATES, Account, Organization
from session_manager_fleet.aws import partitions
from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.yaml_source import nearest, read_text, read_yaml

_TEXTS = ("name", "email", "ou", "state", "role")
_KEYS = ("id", *_TEXTS, "regions", "tags")
_COLUMNS = ("id", *_TEXTS, "regions")
_TAG = "tag:"
_MAX_PROBLEMS = 20


@dataclass(frozen=True)
class _Entry:
    """An account as the file has it, unchecked.

    Attributes:
        values: Values by key, as in YAML.
        line: First line of the entry.
        where: Returns the place of a key, or for None of the entry, for messages.
    """

    values: object
    line: int
    where: Callable[[str | None], str]


def from_file(path: Path) -> Organization:
    """Read accounts from a file.

    YAML holds `accounts: [{id, name, email, ou, state, tags, role, regions}]`. A file `*.csv` has the columns
    `id,name,email,ou,state,role,regions` in any order, of which only the first two are required, and `tag:KEY` for
    tags; regions are separated by spaces. An empty cell is the same as a missing key.

    Raises:
        InputError: With every problem of the file, each with its line.
    """
    problems: list[Problem] = []
    entries = _csv_entries(path, problems) if path.suffix.lower() == ".csv" else _yaml_entries(path, problems)
    checker = _Checker(problems)
    accounts = [checker.account(entry) for entry in entries]
    if problems:
        raise InputError(problems)
    return Organization.of(None, [account for account in accounts if account is not None], [])


def _yaml_entries(path: Path, problems: list[Problem]) -> Iterator[_Entry]:
    document = read_yaml(path)
    entries = document.data.get("accounts") if isinstance(document.data, dict) else None
    if not isinstance(entries, list) or not entries:
        message = 'The file must have a list "accounts" with at least one account.'
        if isinstance(document.data, dict) and "Accounts" in document.data:
            message += (
                ' This one is an answer of the Organizations API, without organizational units: write "source: '
                'organizations", which reads both.'
            )
        raise InputError(message, document.where())

    def where(index: int) -> Callable[[str | None], str]:
        return lambda key: document.where(("accounts", index) if key is None else ("accounts", index, key))

    for index, entry in enumerate(entries):
        yield _Entry(entry, document.line(("accounts", index)), where(index))
    for key in document.data:
        if key != "accounts":
            message = f'Unknown key "{key}"; the only key of the file is "accounts".'
            problems.append(Problem(message, document.where((key,))))


def _csv_entries(path: Path, problems: list[Problem]) -> Iterator[_Entry]:
    rows = _rows(path)
    number, cells = next(rows, (1, []))
    header = [cell.strip() for cell in cells]
    _check_header(header, f"{path}:{number}")

    def where(line: int) -> Callable[[str | None], str]:
        return lambda key: f"{path}:{line} ({key})" if key else f"{path}:{line}"

    line = number
    for line, row in rows:
        if len(row) != len(header):
            message = f"The row has {len(row)} cells, the header {len(header)}; quote values that contain commas."
            problems.append(Problem(message, where(line)(None)))
            continue
        filled = {column: cell for column, cell in zip(header, row, strict=True) if cell}
        values: dict[str, Any] = {key: cell for key, cell in filled.items() if not key.startswith(_TAG)}
        if "regions" in values:
            values["regions"] = values["regions"].split()
        values["tags"] = {key.removeprefix(_TAG): cell for key, cell in filled.items() if key.startswith(_TAG)}
        yield _Entry(values, line, where(line))
    if line == number:
        problems.append(Problem("The file has no accounts below its header.", where(number)(None)))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file that are not empty, each with its first line."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            if any(row):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"This is not valid CSV: {error}.", f"{path}:{line}") from error


def _check_header(header: list[str], location: str) -> None:
    """Refuse unknown, duplicate and missing columns.

    Raises:
        InputError: With every problem.
    """
    problems: list[str] = []
    for number, column in enumerate(header, 1):
        if column not in _COLUMNS and not (column.startswith(_TAG) and column != _TAG):
            known = f"the columns are {', '.join(_COLUMNS)} and {_TAG}KEY, separated by commas"
            problems.append(f"Unknown column {_named(column, number)}; {known}.")
    counts = Counter(column for column in header if column in _COLUMNS or column.startswith(_TAG))
    problems.extend(f'Duplicate column "{column}".' for column, count in counts.items() if count > 1)
    problems.extend(f'The column "{column}" is missing.' for column in ("id", "name") if column not in header)
    if problems:
        raise InputError([Problem(message, location) for message in list(dict.fromkeys(problems))[:_MAX_PROBLEMS]])


def _named(column: str, number: int) -> str:
    """Return a column as it is written if that looks like one of ours, else its number: the file may be any other."""
    hint = nearest(column, _COLUMNS)
    return f'"{column}"{hint}' if hint or column == _TAG else str(number)


class _Checker:
    """Checks the entries of an accounts file and collects their problems."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._lines: dict[str, int] = {}

    def account(self, entry: _Entry) -> Account | None:
        """Return the account of an entry, or None if the entry has a problem."""
        values = entry.values
        if not isinstance(values, dict):
            self._report(entry, None, "An account must be a mapping with at least id and name.")
            return None
        before = len(self._problems)
        for key in values:
            if key not in _KEYS:
                self._report(entry, key, f'Unknown key "{key}"{nearest(key, _KEYS)}.')
        account_id = self._account_id(entry, str(values.get("id", "")))
        self._check_texts(entry, values)
        if "regions" in values:
            self._check_regions(entry, values["regions"])
        tags = values.get("tags", {})
        if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
            self._report(entry, "tags", "Tags must be a mapping of strings to strings; quote numbers and booleans.")
        if len(self._problems) > before:
            return None
        return Account(
            id=account_id,
            name=values["name"],
            email=values.get("email", ""),
            ou=values.get("ou", ROOT).strip("/") or ROOT,
            state=values.get("state", ACTIVE).upper(),
            tags=dict(tags),
            role=values.get("role", ""),
            regions=tuple(values.get("regions", ())),
        )

    def _account_id(self, entry: _Entry, account_id: str) -> str:
        if not ACCOUNT_ID.fullmatch(account_id):
            hint = " A spreadsheet may have dropped leading zeros." if account_id.isdecimal() else ""
            self._report(entry, "id", f'"{account_id}" is not an account id; write twelve digits.{hint}')
        elif account_id in self._lines:
            first = self._lines[account_id]
            self._report(entry, "id", f"Account {account_id} is listed twice, first on line {first}.")
        self._lines.setdefault(account_id, entry.line)
        return account_id

    def _check_texts(self, entry: _Entry, values: dict[str, Any]) -> None:
        for key in _TEXTS:
            if key in values and not isinstance(values[key], str):
                self._report(entry, key, f'"{key}" must be a string.')
        if not values.get("name"):
            self._report(entry, "name", "The account has no name.")
        role = values.get("role", "")
        if isinstance(role, str) and role not in {"", *ROLES}:
            self._report(entry, "role", f'Unknown role "{role}"; use one of {", ".join(ROLES)}.')
        state = values.get("state", ACTIVE)
        if isinstance(state, str) and state.upper() not in STATES:
            self._report(entry, "state", f'Unknown state "{state}"; use one of {", ".join(STATES)}.')

    def _check_regions(self, entry: _Entry, regions: object) -> None:
        if not isinstance(regions, list) or not regions or not all(isinstance(region, str) for region in regions):
            self._report(entry, "regions", "Regions must be a list with at least one region; leave it out for all.")
            return
        for region in regions:
            if region not in partitions():
                self._report(entry, "regions", f'"{region}" is not an AWS region{nearest(region, partitions())}.')
        if len(set(regions)) < len(regions):
            self._report(entry, "regions", "A region is listed twice.")

    def _report(self, entry: _Entry, key: str | None, message: str) -> None:
        self._problems.append(Problem(message, entry.where(key)))
