"""Which targets `--watch` waits for, and which it names because no log of them can arrive."""

from collections.abc import Callable
from pathlib import Path

import pytest

from session_manager_fleet.cli.commands.verify import _watch_warnings
from session_manager_fleet.errors import InputError
from session_manager_fleet.targets import Inventory, Selection

NOWHERE = 'preferences: {cloudwatch: {log_group_name: "", create_log_group: false}, waive: [no_log_destination]}'
ACCOUNTS = """\
accounts:
  - {id: 100000000001, name: Management, role: management}
  - {id: 111122223333, name: Payments, ou: Workloads}
  - {id: 222233334444, name: Dev, ou: Workloads}
"""


@pytest.fixture
def warnings(write: Callable[[str, str], Path], settings_file: Callable[[str], Path]) -> Callable[[str], list[str]]:
    """Return the warnings about all targets of an organization with these settings."""
    write("accounts.yaml", ACCOUNTS)

    def of(rest: str) -> list[str]:
        inventory = Inventory.load(settings_file(rest))
        return _watch_warnings(inventory, inventory.select(Selection(everything=True)).targets)

    return of


def test_targets_that_cannot_be_watched_are_named(warnings: Callable[[str], list[str]]) -> None:
    rest = f"overrides: [{{match: {{accounts: [Dev]}}, set: {{{NOWHERE}}}}}]\nexceptions:\n"
    rest += "  - {match: {accounts: [Payments], regions: [us-east-1]}, skip: [preferences], reason: r, owner: o, "
    rest += "expires: 2099-01-31}\n"

    assert warnings("") == []
    named = "Payments 111122223333/us-east-1, Dev 222233334444/eu-west-1, Dev 222233334444/us-east-1"
    assert warnings(rest) == [f"Not watched, because the settings log their sessions nowhere: {named}."]


def test_nothing_to_watch_is_refused(warnings: Callable[[str], list[str]]) -> None:
    with pytest.raises(InputError, match="No selected target logs sessions"):
        warnings(f"defaults: {{{NOWHERE}}}\n")
