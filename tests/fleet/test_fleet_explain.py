"""Every effective value with the line, the layer and the owner that it comes from."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from fleet.context import Context
from fleet.errors import InputError
from fleet.explain import Explanation, equal_explanations, explain
from fleet.organization import Organization
from fleet.settings import Settings

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
def context(make_settings: Callable[[str], Settings], organization: Organization) -> Context:
    return Context(make_settings(LAYERS), organization, HOME, (OTHER, HOME))


def explained(context: Context, name: str, region: str | None = None) -> list[Explanation]:
    account = next(account for account in context.organization.accounts if account.name == name)
    return explain(context, account, region, TODAY)


def values(explanation: Explanation) -> dict[str, dict[str, Any]]:
    listed: list[dict[str, Any]] = explanation.as_dict()["values"]
    return {value.pop("key"): value for value in listed}


def test_every_value_has_an_origin(context: Context) -> None:
    home, other = explained(context, "Payments Prod")
    path = context.settings.document.path

    assert (home.target.key, other.target.key) == ("111122223333/eu-west-1", "111122223333/us-east-1")
    assert (home.target.wave, other.target.wave) == ("canary", "rest")
    nothing = {"where": None, "owner": None, "unset_by": None}
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


def test_the_values_are_those_of_the_target(context: Context) -> None:
    [explanation] = explained(context, "Log Archive", OTHER)
    told = {value.key: value.value for value in explanation.values}

    def flat(data: dict[str, Any], path: str = "") -> dict[str, Any]:
        return {
            key: value
            for name, inner in data.items()
            for key, value in (
                flat(inner, f"{path}{name}.") if isinstance(inner, dict) else {path + name: inner}
            ).items()
        }

    assert told == flat(context.settings.effective(explanation.target.account, OTHER).values.model_dump())
    assert explanation.exceptions == ()


def test_regions_with_equal_values_are_put_together(context: Context) -> None:
    assert [len(group) for group in equal_explanations(explained(context, "Payments Prod"))] == [1, 1]
    same = Context(context.settings, context.organization, HOME, (HOME, "eu-central-1", OTHER))
    groups = equal_explanations(explained(same, "Payments Prod"))
    assert [[explanation.target.region for explanation in group] for group in groups] == [
        [HOME, "eu-central-1"],
        [OTHER],
    ]


def test_a_region_that_is_not_used_is_refused(context: Context) -> None:
    with pytest.raises(
        InputError, match=r'REGION: .* does not use the region "eu-west-2" \(did you mean "eu-west-1"\?\)'
    ):
        explained(context, "Payments Prod", "eu-west-2")
