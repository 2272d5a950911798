"""What is refused before anything is planned: another home region for an account that has resources already."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account, Organization
from session_manager_fleet.cli.commands.verify import _stray_warnings
from session_manager_fleet.errors import InputError
from session_manager_fleet.run.order import refuse_other_home_region, stray_warning
from session_manager_fleet.settings.layers import Settings
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import EVERYTHING, Selection, Target
from session_manager_fleet.terraform import StrayState

HOME, OTHER = "eu-west-1", "us-east-1"
STATE = StrayState(
    "111122223333", OTHER, is_home=True, key=f"session-manager/{OTHER}/111122223333/terraform.tfstate", resources=20
)


def test_another_home_region_is_refused_while_the_old_one_has_resources(
    make_settings: Callable[[str], Settings], organization: Organization
) -> None:
    inventory = Inventory(make_settings(""), organization, HOME, (HOME, OTHER))
    target = Target(Account("111122223333", "Payments"), HOME, HOME)

    match = rf"under another home region than {HOME} .* destroy what .* `states destroy 111122223333/{OTHER}`"
    with pytest.raises(InputError, match=match) as caught:
        refuse_other_home_region(inventory, [target], [STATE])
    assert caught.value.next_command == ("states", "show", f"111122223333/{OTHER}")
    # What stands in the new home region, as that of another region, would be created again, too.
    elsewhere = replace(STATE, region=HOME, is_home=False)
    with pytest.raises(InputError, match="under another home region"):
        refuse_other_home_region(inventory, [target], [elsewhere])
    refuse_other_home_region(inventory, [target], [replace(elsewhere, region="eu-north-1")])
    # Of another account, or the home region as it is.
    refuse_other_home_region(inventory, [Target(Account("444455556666", "Other"), HOME, HOME)], [STATE])
    refuse_other_home_region(inventory, [Target(target.account, OTHER, OTHER)], [STATE])
    assert "No target has the state of account 111122223333 in us-east-1" in stray_warning(STATE)


@pytest.mark.usefixtures("credentials")
def test_verify_warns_of_states_without_a_target_and_of_a_bucket_that_it_cannot_read(
    make_settings: Callable[[str], Settings], organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = Inventory(make_settings(""), organization, HOME, (HOME, OTHER))
    targets = [Target(Account("111122223333", "Payments"), HOME, HOME)]
    with mock_aws():
        [unread] = _stray_warnings(inventory, targets, EVERYTHING)
    assert unread.startswith("Not checked: states that no target has. The state bucket ")

    monkeypatch.setattr("session_manager_fleet.run.order.stray_states", lambda _: [STATE])
    assert _stray_warnings(inventory, [], EVERYTHING) == [stray_warning(STATE)]
    assert _stray_warnings(inventory, targets, Selection()) == [stray_warning(STATE)]
    assert _stray_warnings(inventory, [], Selection()) == []
