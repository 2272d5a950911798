"""One table of refused values, judged by the settings (pydantic), the modules (terraform) and the function (Lambda)."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ValidationError

from session_manager_fleet.accounts import Account
from session_manager_fleet.hcl import hcl
from session_manager_fleet.preferences import expected_preferences
from session_manager_fleet.settings.foundation import Guardrails, LogArchive
from session_manager_fleet.settings.roles import AccountRole
from session_manager_fleet.settings.target import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform.installation import find_terraform
from session_preferences.document import build, check
from session_preferences.errors import InvalidPreferencesError, PreferencesError
from session_preferences.request import parse_event
from tests.refused_values import ACCOUNT, MODULES, SETTINGS, Values

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform

REPOSITORY = Path(__file__).parents[2]
REGION = "eu-west-1"
PORTION = 40  # The time of a plan grows faster than the number of calls.
DEFAULTS = TargetSettings().model_dump()
DEPLOYMENT_ROLE = "arn:aws:iam::*:role/AWSControlTowerExecution"
TARGET = {"account_id": ACCOUNT, "region": REGION, "home_region": REGION}
NAMES_OF_PREFERENCES = ("document", "data_key_alias", "data_key_parameter", "logs_key_alias", "function")

# What a call must say; `retention` because Terraform does not name the call whose default value it refuses.
REQUIRED: Mapping[str, dict[str, Any]] = {
    "config_rule": {"home_region": REGION, "policy_arn": f"arn:aws:iam::{ACCOUNT}:policy/SessionManagerLogPolicy"},
    "guardrails": {"exempt_role_arns": [DEPLOYMENT_ROLE]},
    "log_archive": {"organization_id": "o-exampleorgid", "retention": {}},
    "log_destination": {
        "organization_id": "o-exampleorgid",
        "target_arn": f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/session-logs",
    },
    "operator_access": {"operator": {"instance_tags": {"team": ["web"]}}},
    "vpc_endpoints": {
        "organization_id": "o-exampleorgid",
        "vpc_id": "vpc-0a1b2c3d",
        "subnet_ids": ["subnet-0a1b2c3d"],
        "route_table_ids": ["rtb-0a1b2c3d"],
    },
}

CASES = {
    (table, case): row for tables in (SETTINGS, MODULES) for table, rows in tables.items() for case, row in rows.items()
}
FOUNDATION: Mapping[str, type[BaseModel]] = {"log_archive": LogArchive, "guardrails": Guardrails}
REFUSED = [key for key, (_, message) in CASES.items() if message]


def ident(key: tuple[str, str]) -> str:
    return ": ".join(key)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: value for key, value in above.items() if key not in below}
    for key, value in below.items():
        over = above.get(key, value)
        both[key] = merged(value, over) if isinstance(value, dict) and key != "tags" else over
    return both


def component_inputs(values: Values) -> dict[str, dict[str, Any]]:
    """Return what the root module passes to its component modules, which check most values."""
    full = merged(DEFAULTS, values)
    preferences, names, policy = full["preferences"], full["names"], full["instance_policy"]
    group = preferences["cloudwatch"]["log_group_name"]
    group = names["log_group"] if group is None else group
    return {
        "preferences": {
            **{key: value for key, value in preferences.items() if key not in {"enabled", "lockout"}},
            "cloudwatch": {**preferences["cloudwatch"], "log_group_name": group},
            "names": {name: names[name] for name in NAMES_OF_PREFERENCES},
        },
        "instance_policy": {
            "name": names["policy"],
            "path": names["policy_path"],
            "log_group_name": group,
            "session_key_alias": names["data_key_alias"],
            "session_key_regions": policy["regions"],
            "session_key_arns": [arn for arn in [preferences["session_key"]["kms_key_arn"]] if arn is not None],
            "attach_to_roles": policy["attach_to_roles"],
            "attach_managed_instance_core": policy["attach_managed_instance_core"],
            "other_log_buckets": policy["other_log_buckets"],
            "s3": preferences["s3"] if preferences["s3"]["enabled"] else None,
        },
        "config_rule": {
            "name": names["config_rule"],
            "automation_document_name": names["automation_document"],
            "home_region": REGION,
            "policy_arn": f"arn:aws:iam::{ACCOUNT}:policy{names['policy_path']}{names['policy']}",
            "nodes": policy["nodes"],
            **{key: value for key, value in full["config_rule"].items() if key not in {"enabled", "without_recorder"}},
        },
    }


def settings_of(key: tuple[str, str]) -> Values:
    """Return the settings of a target with the values of a case."""
    table, values = key[0], CASES[key][0]
    if table == "target":
        return values
    if table == "deployment_role":
        return {table: {"name": "Deploy", **values}}
    return {"preferences" if table == "resources" else table: values}


def calls_of(key: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """Return the arguments of every module that a case concerns."""
    table, values = key[0], CASES[key][0]
    if key in SETTINGS_CASES and table not in FOUNDATION:
        defaults = component_inputs({})
        given = component_inputs(settings_of(key))
        changed = {name: inputs for name, inputs in given.items() if inputs != defaults[name]}
        return changed or {"root": {**TARGET, **settings_of(key)}}
    arguments = {**REQUIRED.get(table, {}), **values}
    if table == "guardrails" and key in SETTINGS_CASES:
        arguments["exempt_role_arns"] = [DEPLOYMENT_ROLE, *values.get("exempt_role_arns", [])]
    return {table: arguments}


SETTINGS_CASES = [(table, case) for table, rows in SETTINGS.items() for case in rows]


def refused_by_settings(key: tuple[str, str]) -> list[tuple[str | int, ...]]:
    """Return the places of the values that the settings refuse."""
    table, values = key[0], settings_of(key)
    try:
        if table in FOUNDATION:
            FOUNDATION[table].model_validate(values[table])
        elif table == "deployment_role":
            AccountRole.model_validate(values[table])
        else:
            TargetSettings.model_validate(values)
    except ValidationError as error:
        below = [table] if table in {*FOUNDATION, "deployment_role"} else []
        return [(*below, *detail["loc"]) for detail in error.errors()]
    return []


def stands_in(values: object, place: tuple[str | int, ...]) -> bool:
    """Say whether a place is that of a given value, not of one that is left to its default."""
    for part in place:
        if isinstance(values, Mapping):
            if part not in values:
                return False
            values = values[part]
    return True


class Modules:
    """The modules' variables without their resources, so that no provider is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for source in (REPOSITORY, *sorted((REPOSITORY / "modules").iterdir())):
            copy = folder / ("root" if source == REPOSITORY else source.name)
            copy.mkdir()
            variables = (source / "variables.tf").read_text(encoding="utf-8")
            variables = re.sub(r"\blocal\.region\b", f'"{REGION}"', variables)
            (copy / "variables.tf").write_text(variables, encoding="utf-8")

    def terraform(self, folder: Path, *arguments: str) -> str:
        environment = {"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1", "GOGC": "400", "TF_WORKSPACE": ACCOUNT}
        done = subprocess.run(
            [find_terraform(), *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0 or arguments[0] == "plan", done.stderr
        return done.stdout

    def refusals(self, cases: list[tuple[str, str]], folder: Path) -> dict[tuple[str, str], list[str]]:
        """Plan all cases at once, and again without those that are refused: terraform does not check all at once."""
        folder.mkdir()
        found: dict[tuple[str, str], list[str]] = {}
        while True:
            (folder / "main.tf").write_text(
                module_calls([case for case in cases if case not in found], ".."), encoding="utf-8"
            )
            self.terraform(folder, "init", "-input=false", "-no-color")
            lines = [json.loads(line) for line in self.terraform(folder, "plan", "-json", "-input=false").splitlines()]
            errors = [line["diagnostic"] for line in lines if line["@level"] == "error"]
            if not errors:
                return found
            for case, text in by_case(errors):
                found.setdefault(case, []).append(text)


def module_calls(cases: list[tuple[str, str]], modules: str) -> str:
    numbers = {key: number for number, key in enumerate(CASES)}
    return "\n".join(
        f'module "case_{numbers[case]}_{module}" {{\n'
        + "".join(
            f"  {name} = {hcl(value, 2)}\n" for name, value in {"source": f"{modules}/{module}", **inputs}.items()
        )
        + "}\n"
        for case in cases
        for module, inputs in calls_of(case).items()
    )


def by_case(errors: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], str]]:
    cases = list(CASES)
    for error in errors:
        found = re.search(r"\bcase_(\d+)_", f"{error.get('address', '')} {error.get('snippet', {}).get('context')}")
        assert found, error
        yield cases[int(found[1])], f"{error['summary']}: {error['detail']}"


@pytest.fixture(scope="module")
def refused_by_variables(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[str]]:
    folder = tmp_path_factory.mktemp("refused")
    modules, cases = Modules(folder), list(CASES)
    found: dict[tuple[str, str], list[str]] = {}
    for start in range(0, len(cases), PORTION):
        found |= modules.refusals(cases[start : start + PORTION], folder / f"cases_{start}")
    return found


def test_the_modules_refuse_what_only_their_resources_know(
    caller: Terraform, refused_by_variables: dict[tuple[str, str], list[str]]
) -> None:
    """The region, the account, the length of a policy, and what the provider checks."""
    cases = [case for case in REFUSED if case not in refused_by_variables]
    (caller.folder / "main.tf").write_text(module_calls(cases, "./modules"), encoding="utf-8")
    caller.init()
    # Terraform does not name the call whose precondition fails.
    errors = caller.refusals()

    wanted = Counter(CASES[case][1] for case in cases)
    assert {text for text, rows in wanted.items() if sum(text in error for error in errors) < rows} == set()
    assert len(errors) >= len(cases)


@pytest.mark.parametrize("case", CASES, ids=ident)
def test_the_modules_refuse(refused_by_variables: dict[tuple[str, str], list[str]], case: tuple[str, str]) -> None:
    message = CASES[case][1]
    said = refused_by_variables.get(case, [])
    # What the variables let through is for the test of the resources.
    assert not said or (message and any(message in text for text in said)), said


@pytest.mark.parametrize("case", SETTINGS_CASES, ids=ident)
def test_the_settings_refuse(case: tuple[str, str]) -> None:
    message = CASES[case][1]
    places = refused_by_settings(case)
    assert bool(places) == bool(message)
    assert all(stands_in(settings_of(case), place) for place in places), places


@pytest.mark.parametrize("case", SETTINGS["preferences"])
def test_the_function_refuses(case: str) -> None:
    values, message = SETTINGS["preferences"][case]
    assert accepted_by_the_function(event_of(values)) == (not message)


def test_the_function_says_why() -> None:
    with pytest.raises(InvalidPreferencesError, match="waive no_log_destination"):
        check(build({}))


def event_of(preferences: Values) -> dict[str, Any]:
    """Return the event that the module makes of preferences."""
    full = merged(DEFAULTS, {"preferences": preferences})
    # The model would refuse the values; what is asked for is the document that they would make.
    values = json.loads(json.dumps(full), object_hook=lambda attributes: SimpleNamespace(**attributes))
    key = full["preferences"]["session_key"]
    expected = expected_preferences(
        Target(Account(ACCOUNT, "member"), REGION, REGION), values, key["kms_key_arn"] if key["enabled"] else None
    )
    return {
        **expected,
        "tf": {"action": "create"},
        "notify_topic_arn": full["preferences"]["drift_repair"]["notify_topic_arn"],
        "on_destroy": full["preferences"]["on_destroy"],
    }


def accepted_by_the_function(event: dict[str, Any]) -> bool:
    try:
        request = parse_event(event)
        check(build(request.preferences), request.waive)
    except PreferencesError:
        return False
    return True
