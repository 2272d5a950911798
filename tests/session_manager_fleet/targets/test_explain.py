"""Every effective value with the line, the layer and the owner that it comes from."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from session_manager_fleet.accounts.model import Organization
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings.layers import Settings
from session_manager_fleet.targets.explain import Explanation, equal_explanations, explain
from session_manager_fleet.targets.inventory import Inventory

TODAY = datetime.date(2027, 3, 1)
HOME, OTHER = "eu-west-1", "us-east-1"

LAYERS = """\
defaults:
  preferences: {idle_session_timeout: 15, cloudwatch: {retention_in_days: 30}}
  tags: {env: any}
overrides:
  - match: {regions: [us-east-1]}
    set:
      preferences: {idle_session_timeout: null}
exceptions:
  - match: {accounts: [Payments Prod]}
    skip: [config_rule]
    set: {tags: {team: payments}}
    owner: payments
    reason: migration
    expires: 2027-03-31
waves:
  - {name: canary, match: {regions: [eu-west-1]}}
"""


@pytest.fixture
def context(make_settings: Callable[[str], Settings], organization: Organization) -> Inventory:
    return Inventory(make_settings(LAYERS), organization, HOME, (OTHER, HOME))


def explained(context: Inventory, name: str, region: str | None = None) -> list[Explanation]:
    account = next(account for account in context.organization.accounts if account.name == name)
    return explain(context, account, region, TODAY)


def values(explanation: Explanation) -> dict[str, dict[str, Any]]:
    listed: list[dict[str, Any]] = explanation.as_dict()["values"]
    return {value.pop("key"): value for value in listed}


def test_every_value_has_an_origin(context: Inventory) -> None:
    home, other = explained(context, "Payments Prod")
    path = context.settings.document.path

    assert (home.target.key, other.target.key) == ("111122223333/eu-west-1", "111122223333/us-east-1")
    assert (home.target.wave, other.target.wave) == ("canary", "rest")
    nothing = {"where": None, "owner": None, "unset_by": None, "placed_by": None}
    of_home, of_other = values(home), values(other)
    assert of_home["preferences.idle_session_timeout"] == {
        **nothing, "value": 15, "layer": "defaults", "where": f"{path}:9"
    }  # fmt: skip
    assert of_home["preferences.adopt"] == {**nothing, "value": "replace", "layer": "built-in default"}
    assert of_home["config_rule.enabled"] == {
        **nothing, "value": False, "layer": "exceptions[0]", "where": f"{path}:17", "owner": "payments"
    }  # fmt: skip
    assert of_home["tags.team"] == {
        **nothing, "value": "payments", "layer": "exceptions[0]", "where": f"{path}:18", "owner": "payments"
    }  # fmt: skip
    assert of_other["preferences.idle_session_timeout"] == {
        **nothing, "value": 20, "layer": "built-in default", "where": f"{path}:14", "unset_by": "overrides[0]"
    }  # fmt: skip
    assert of_other["preferences.cloudwatch.retention_in_days"]["layer"] == "defaults"
    assert [entry.owner for entry in home.exceptions] == ["payments"]


def test_the_values_are_those_of_the_target(context: Inventory) -> None:
    [explanation] = explained(context, "Log Archive", OTHER)
    shown = {value.key: value.value for value in explanation.values}

    def flat(data: dict[str, Any], path: str = "") -> dict[str, Any]:
        return {
            key: value
            for name, inner in data.items()
            for key, value in (
                flat(inner, f"{path}{name}.") if isinstance(inner, dict) else {path + name: inner}
            ).items()
        }

    role = context.settings.organization.deployment_role.model_dump(
        exclude_none=True, exclude={"in_management_account"}
    )
    settings = context.settings.effective(explanation.target.account, OTHER).values.model_dump()
    assert shown == flat({**settings, "deployment_role": role})
    assert explanation.exceptions == ()


def test_what_exists_once_is_explained_where_it_is_placed(
    make_settings: Callable[[str], Settings], organization: Organization
) -> None:
    settings = make_settings("""\
        log_archive:
          retention: {days: 400}
        guardrails:
          attach_to: [r-abcd]
        """)
    context = Inventory(settings, organization, HOME, (HOME, OTHER))
    path = settings.document.path

    archive, elsewhere = (values(explanation) for explanation in explained(context, "Log Archive"))
    management = values(explained(context, "Management", HOME)[0])

    placed = {"where": f"{path}:8", "layer": "log_archive", "owner": None, "unset_by": None}
    assert archive["log_archive.retention.days"] == {**placed, "value": 400, "placed_by": "log-archive"}
    assert archive["log_archive.organization_id"]["value"] == "o-exampleorgid"
    assert management["guardrails.attach_to"]["value"] == ["r-abcd"]
    assert management["guardrails.deny.ssh"] == {
        **placed, "value": True, "layer": "guardrails", "where": f"{path}:10", "placed_by": "management"
    }  # fmt: skip
    assert not any(key.startswith(("log_archive.", "guardrails.")) for key in elsewhere)


def test_the_role_that_is_used_is_explained(context: Inventory) -> None:
    [member], [management] = explained(context, "Log Archive", OTHER), explained(context, "Management", OTHER)
    path = context.settings.document.path
    where = {"layer": "organization", "where": f"{path}:6", "owner": None, "unset_by": None}

    assert values(member)["deployment_role.name"] == {
        **where, "value": "AWSControlTowerExecution", "placed_by": None
    }  # fmt: skip
    assert values(member)["deployment_role.duration"]["layer"] == "built-in default"
    assert values(management)["deployment_role"] == {**where, "value": None, "placed_by": "management"}


def test_regions_with_equal_values_are_put_together(context: Inventory) -> None:
    assert [len(group) for group in equal_explanations(explained(context, "Payments Prod"))] == [1, 1]
    same = Inventory(context.settings, context.organization, HOME, (HOME, "eu-central-1", OTHER))
    groups = equal_explanations(explained(same, "Payments Prod"))
    assert [[explanation.target.region for explanation in group] for group in groups] == [
        [HOME, "eu-central-1"],
        [OTHER],
    ]


def test_a_region_that_is_not_used_is_refused(context: Inventory) -> None:
    with pytest.raises(
        InputError, match=r'REGION: .* does not use the region "eu-west-2" \(did you mean "eu-west-1"\?\)'
    ):
        explained(context, "Payments Prod", "eu-west-2")
