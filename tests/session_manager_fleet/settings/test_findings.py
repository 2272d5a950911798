"""Findings name values and say what to write; nothing of pydantic or of a regular expression is shown."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from session_manager_fleet.accounts.model import Account, Organization
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings import Settings, load_settings
from session_manager_fleet.settings.forms import described
from session_manager_fleet.settings.schema import SettingsFile


def patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns(value)


def test_every_pattern_of_the_settings_is_said_in_words() -> None:
    found = set(patterns(SettingsFile.model_json_schema()))

    assert len(found) > 20
    assert [pattern for pattern in found if not described(pattern)] == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{name: AWSControlTowerExecution}",
            "AWSControlTowerExecution",
            "must be a mapping with the keys name, external_id, session_name, duration, in_management_account.",
        ),
        ("AWSControlTowerExecution", "'arn:aws:iam::111122223333:role/X'", "such as platform/Deploy; no ARN."),
        ("[eu-west-1, us-east-1]", "eu-west-1", '"eu-west-1" must be a list: put it in brackets'),
        ("schema_version: 1", "schema_version: 2", "2 is not valid here: use 1."),
        ("o-exampleorgid", "example", '"example" is not an organization id such as o-exampleorgid.'),
        ("", "log_archive:\n", 'The section is empty: write "log_archive: {}" for its defaults'),
        ("", "guardrails: # {}\n", 'The section is empty: write "guardrails: {}" for its defaults'),
        ("", "guardrails: {attach_to: [Workloads]}\n", "write the id of the root, of a unit or of an account: r-ab12,"),
        ("", "guardrails: {exempt_role_arns: [Admin]}\n", "write the ARN of a role, with * and ? as wildcards"),
        ("", "log_archive: {bucket_key: {alias: logs}}\n", "write an alias, such as alias/session-manager/data."),
        ("", "defaults: {names: {function: a b}}\n", "use 1 to 49 of these characters: letters, digits, _ -."),
        ("", "overrides: {}\n", "{} must be a list"),
        ("", "defaults: []\n", "[] must be a mapping with the keys"),
        ("", "overrides: [{match: {accounts: [33334444555]}, set: {}}]\n", "33334444555 has 11 digits; an account id"),
        ("", "defaults: {tags: [a]}\n", '["a"] must be a mapping of keys to values.'),
    ],
)
def test_wrong_values_are_explained(settings_file: Callable[[str], Path], old: str, new: str, message: str) -> None:
    path = settings_file("" if old else new)
    if old:
        path.write_text(path.read_text().replace(old, new, 1))

    with pytest.raises(InputError) as caught:
        load_settings(path)

    text = str(caught.value)
    assert message in text
    for leak in ("Input should", "valid dictionary", "instance of", "pattern", "^", "[A-Z", "validation"):
        assert leak not in text


def warnings(settings: Settings, organization: Organization) -> list[str]:
    return [str(problem) for problem in settings.warnings(organization, "eu-west-1", ["eu-west-1", "us-east-1"])]


def test_guardrails_that_restrict_no_one_are_warned_of(
    make_settings: Callable[[str], Settings], organization: Organization
) -> None:
    [warning] = warnings(make_settings("guardrails: {}\n"), organization)
    assert "organization.yaml:8 (guardrails): attach_to is empty" in warning
    assert warnings(make_settings("guardrails: {attach_to: [r-ab12]}\n"), organization) == []


def test_a_log_archive_account_without_a_log_archive_is_warned_of(
    settings_file: Callable[[str], Path], organization: Organization
) -> None:
    def of(rest: str) -> list[str]:
        path = settings_file(rest)
        path.write_text(path.read_text().replace("  accounts:", "  log_archive_account: LogArchive\n  accounts:"))
        return warnings(Settings.of(load_settings(path), organization, "eu-west-1"), organization)

    [warning] = of("")
    assert "(organization.log_archive_account): This only names the account" in warning
    assert of("overrides: [{match: {roles: [log-archive]}, set: {}}]\n") == []


@pytest.mark.parametrize(
    ("match", "what"),
    [
        ("{accounts: [shop, web, '*']}", '"shop"'),
        ("{accounts: ['sh*']}", '"sh*"'),
        ("{ou: Old}", '"Old"'),
        ("{ou: [Workloads, 'O*']}", '"O*"'),
        ("{tags: {data: old}}", "This"),
        ("{accounts: [web, '*'], ou: Workloads}", ""),
    ],
)
def test_an_override_for_a_suspended_account_only_is_warned_of(
    make_settings: Callable[[str], Settings], match: str, what: str
) -> None:
    accounts = [
        Account("111122223330", "web", ou="Workloads"),
        Account("111122223331", "shop", ou="Old", state="SUSPENDED", tags={"data": "old"}),
    ]
    settings = make_settings(f"overrides: [{{match: {match}, set: {{}}}}]\n")

    found = warnings(settings, Organization.of("o-exampleorgid", accounts, []))

    assert len(found) == bool(what)
    for warning in found:
        assert f"{what} matches only accounts that are not active: 111122223331 (suspended)" in warning


def test_names_that_select_several_accounts_are_warned_of(make_settings: Callable[[str], Settings]) -> None:
    accounts = [Account(f"11112222333{number}", "payments") for number in range(2)]
    [warning] = warnings(make_settings(""), Organization.of("o-exampleorgid", accounts, []))
    assert 'The accounts 111122223330, 111122223331 are all called "payments"' in warning
