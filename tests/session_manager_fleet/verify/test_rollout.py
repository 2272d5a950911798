"""Targets and regions without a rollout, and exceptions that explain a result."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Inventory, PolicyException
from session_manager_fleet.targets.model import Target
from session_manager_fleet.verify.checks import Place
from session_manager_fleet.verify.drift_repair import DriftRepair
from session_manager_fleet.verify.model import explained, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader
from session_manager_fleet.verify.roles import Roles
from session_manager_fleet.verify.rollout import OtherRegions, Rollout

HOME = "eu-west-1"


class Regions:
    """An inventory that knows regions only: those of the organization, and fewer of an account."""

    regions = (HOME, "us-east-1", "ap-northeast-1")

    def regions_of(self, _: Account) -> tuple[str, ...]:
        return (HOME, "us-east-1")


@pytest.fixture
def place(credentials: None) -> Iterator[Place]:  # noqa: ARG001 - in the environment
    with mock_aws():
        target = Target(Account("123456789012", "Member"), HOME, HOME)
        reader = Reader(boto3.Session(region_name=HOME))
        yield Place(cast("Inventory", Regions()), target, TargetSettings(), reader, lambda *_: reader)


def test_a_target_without_a_rollout(place: Place) -> None:
    missing = Rollout().run(place)
    content = '{"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": {}}'
    ssm: Any = boto3.client("ssm", region_name=HOME)
    ssm.create_document(Name="SSM-SessionManagerRunShell", Content=content, DocumentType="Session")

    assert (missing.verdict, missing.command_in(place.target)) == (
        "finding",
        ("apply", "--account", "123456789012", "--region", HOME),
    )
    assert Rollout().run(place).verdict == "ok"


def test_nodes_in_a_region_that_is_left_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes: dict[str, list[dict[str, str]]] = {"us-east-1": [{"InstanceId": "i-0"}]}
    call = place.reader.call

    def answer(service: str, region: str, method: str, **arguments: Any) -> Mapping[str, Any]:  # noqa: ANN401
        if method != "describe_instance_information":
            return call(service, region, method, **arguments)
        if region == "us-west-2":
            message = "User: x is not authorized with an explicit deny in a service control policy"
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, method)
        return {"InstanceInformationList": nodes.get(region, [])}

    monkeypatch.setattr(place.reader, "call", answer)
    intact = OtherRegions().run(place)
    nodes["eu-central-1"] = [{"InstanceId": "i-1"}]
    found = OtherRegions().run(place)

    assert intact.verdict == "ok"
    assert found.message == "There are managed nodes in regions without rollout: eu-central-1."
    assert found.fix == (
        "Add eu-central-1 to organization.regions (an override with `regions` leaves other accounts as they are), and "
        "apply the account."
    )
    assert found.command_in(place.target)[:3] == ("apply", "--account", "123456789012")
    # An override can only name regions of the organization.
    del nodes["eu-central-1"]
    nodes["ap-northeast-1"] = [{"InstanceId": "i-2"}]
    fix = "Add ap-northeast-1 to `regions` of the account in its override, and apply the account."
    assert OtherRegions().run(place).fix == fix


@pytest.mark.parametrize(
    ("skip", "changed", "explains"),
    [(("preferences",), (), True), ((), ("preferences.idle_session_timeout",), True), (("config_rule",), (), False)],
)
def test_an_exception_explains_a_result(skip: tuple[Any, ...], changed: tuple[str, ...], *, explains: bool) -> None:
    day = date(2027, 1, 31)
    entry = PolicyException("Payments", "migration", day, 60, ("123456789012/eu-west-1",), skip, changed, "o.yaml:40")
    info, sentence = DriftRepair.info, "Exception of Payments until 2027-01-31: migration (o.yaml:40)."

    for check in (not_needed(info.id, "It is off."), finding(info.id, "It is off.")):
        assert explained(check, info, [entry]).exceptions == ((sentence,) if explains else ())
    assert explained(ok(info.id, "It is on."), info, [entry]).exceptions == ()
    assert explained(finding("roles", "Lacks."), Roles.info, [entry]).exceptions == ()
