"""Settings, organization, regions and credentials checked against each other."""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import botocore.exceptions
import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import AUDIT, LOG_ARCHIVE, MANAGEMENT, Account, Organization
from session_manager_fleet.accounts.snapshot import save
from session_manager_fleet.aws import assume_role, role_arn, translated_errors
from session_manager_fleet.errors import AccessError, InputError
from session_manager_fleet.run.prerequisites import examine, of_organization
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import Selection

Write = Callable[[str, str], Path]
SettingsFile = Callable[[str], Path]
HOME = "eu-west-1"

ACCOUNTS = """\
accounts:
  - {id: 100000000001, name: Management, role: management}
  - {id: 111122223333, name: Payments, ou: Workloads/Prod}
  - {id: 222233334444, name: Dev, ou: Workloads/NonProd}
"""


@pytest.fixture
def aws(credentials: None) -> Iterator[None]:  # noqa: ARG001 - for the clients
    with mock_aws():
        yield


@pytest.fixture
def load(write: Write, settings_file: SettingsFile) -> Callable[[str], Inventory]:
    """Load a context with an accounts file beside it."""
    write("accounts.yaml", ACCOUNTS)
    return lambda rest: Inventory.load(settings_file(rest))


def test_accounts_come_from_the_file_beside_the_settings(load: Callable[[str], Inventory]) -> None:
    context = load("")

    assert [account.name for account in context.organization.accounts] == ["Management", "Payments", "Dev"]
    assert (context.home_region, context.regions) == (HOME, (HOME, "us-east-1"))
    assert len(context.select(Selection(everything=True)).targets) == 6


def test_matchers_are_checked_against_the_accounts(load: Callable[[str], Inventory]) -> None:
    with pytest.raises(
        InputError, match=r"organization\.yaml:8 \(waves\[0\]\.match\.ou\[0\]\): No organizational unit"
    ):
        load("waves: [{name: a, match: {ou: Nowhere}}]")


def test_a_problem_of_many_targets_is_reported_once(load: Callable[[str], Inventory]) -> None:
    context = load("""\
        defaults: {preferences: {max_session_duration: 10}}
        overrides: [{match: {accounts: [Dev]}, set: {preferences: {max_session_duration: 60, s3: {enabled: true}}}}]
        """)

    with pytest.raises(InputError) as caught:
        context.check_settings(context.select(Selection(everything=True)))

    assert len(caught.value.problems) == 2
    assert "For 100000000001 (Management) in eu-west-1: max_session_duration" in caught.value.problems[0].message
    assert "For 222233334444 (Dev) in eu-west-1: s3.enabled needs" in caught.value.problems[1].message


@pytest.fixture
def load_lza(write: Write) -> Callable[..., Inventory]:
    """Load a context for a Landing Zone Accelerator folder of one account."""

    def load(home: str = HOME, enabled: str = "[eu-west-1, eu-central-1]", extra: str = "") -> Inventory:
        write(
            "lza/accounts-config.yaml",
            """\
            workloadAccounts: [{name: Web, email: web@example.com, organizationalUnit: Workloads}]
            accountIds: [{email: web@example.com, accountId: "111122223333"}]
            """,
        )
        write("lza/organization-config.yaml", "organizationalUnits: [{name: Workloads}]\n")
        write("lza/global-config.yaml", f"homeRegion: {home}\nenabledRegions: {enabled}\n")
        return Inventory.load(
            write(
                "organization.yaml",
                "schema_version: 1\n"
                "organization:\n"
                "  id: o-exampleorgid\n"
                "  deployment_role: {name: AWSControlTowerExecution}\n"
                "  accounts: {source: lza, path: lza}\n" + extra,
            )
        )

    return load


def test_regions_come_from_the_accelerator_unless_the_settings_name_them(load_lza: Callable[..., Inventory]) -> None:
    context = load_lza()
    assert (context.home_region, context.regions) == (HOME, (HOME, "eu-central-1"))

    context = load_lza(extra="  home_region: eu-central-1\n  regions: [eu-central-1]\n")
    assert (context.home_region, context.regions) == ("eu-central-1", ("eu-central-1",))


@pytest.mark.parametrize(
    ("home", "enabled", "message"),
    [
        ("eu-west-7", "[eu-west-7]", r'"eu-west-7" is not an AWS region \(did you mean "eu-west-.*'),
        (HOME, "[eu-central-1]", "The home region eu-west-1 must be one of eu-central-1"),
        (
            HOME,
            "[eu-west-1, us-iso-east-1, eu-west-8]",
            r'"us-iso-east-1" is in the partition aws-iso, which Terraform.s S3 backend.*\n.*"eu-west-8" is not an',
        ),
        (HOME, "[eu-west-1, cn-north-1]", "The regions belong to different AWS partitions"),
    ],
)
def test_regions_of_the_accelerator_are_checked_too(
    load_lza: Callable[..., Inventory], home: str, enabled: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_lza(home, enabled)


def test_regions_of_two_partitions_are_refused_where_they_stand(write: Write, settings_file: SettingsFile) -> None:
    write("accounts.yaml", ACCOUNTS)
    path = settings_file("")
    path.write_text(path.read_text().replace("us-east-1", "us-gov-west-1"))

    with pytest.raises(
        InputError, match=r"organization\.yaml:5 \(organization\.regions\): The regions belong to different"
    ):
        Inventory.load(path)


def test_the_settings_name_the_accounts_with_roles(write: Write, settings_file: SettingsFile) -> None:
    write("accounts.yaml", ACCOUNTS)
    path = settings_file("")
    path.write_text(path.read_text() + "  log_archive_account: Dev\n  audit_account: 111122223333\n")

    accounts = Inventory.load(path).organization.accounts

    assert {account.name: account.role for account in accounts} == {
        "Management": MANAGEMENT,
        "Payments": AUDIT,
        "Dev": LOG_ARCHIVE,
    }

    path.write_text(path.read_text().replace("111122223333", "Payment"))
    with pytest.raises(
        InputError, match=r"organization\.yaml:9 \(organization\.audit_account\): No account has .* \(did you mean"
    ):
        Inventory.load(path)


def test_all_accounts_whose_roles_cannot_be_given_are_reported(write: Write, settings_file: SettingsFile) -> None:
    write("accounts.yaml", ACCOUNTS)
    path = settings_file("")
    path.write_text(path.read_text() + "  log_archive_account: Deb\n  audit_account: 999900001111\n")

    with pytest.raises(InputError) as caught:
        Inventory.load(path)

    assert [problem.location.rpartition("organization.yaml:")[2] for problem in caught.value.problems] == [
        "8 (organization.log_archive_account)",
        "9 (organization.audit_account)",
    ]


# --- A saved discovery -------------------------------------------------------------------------------------------

FROM_API = "accounts: {source: organizations}"


@pytest.fixture
def api_settings(settings_file: SettingsFile) -> Callable[[str], Path]:
    """Settings of an organization whose accounts come from the Organizations API."""

    def write(rest: str = "") -> Path:
        path = settings_file(rest)
        path.write_text(path.read_text().replace("accounts: {source: file, path: accounts.yaml}", FROM_API))
        return path

    return write


def test_a_saved_discovery_takes_the_place_of_asking(
    api_settings: Callable[[str], Path], organization: Organization, tmp_path: Path
) -> None:
    save(organization, tmp_path / "saved.json")

    context = Inventory.load(api_settings(""), read_from=tmp_path / "saved.json")

    assert context.organization == organization
    assert len(context.select(Selection(everything=True)).skipped) == 1


def test_a_saved_discovery_of_another_organization_is_refused(
    api_settings: Callable[[str], Path], organization: Organization, tmp_path: Path
) -> None:
    save(replace(organization, id="o-somebodyelse"), tmp_path / "saved.json")

    with pytest.raises(InputError, match="o-somebodyelse"):
        Inventory.load(api_settings(""), read_from=tmp_path / "saved.json")


def test_tags_that_were_not_saved_are_not_taken_for_none(
    api_settings: Callable[[str], Path], organization: Organization, tmp_path: Path
) -> None:
    saved = tmp_path / "saved.json"
    save(replace(organization, has_tags=False), saved)

    Inventory.load(api_settings(""), read_from=saved)

    with pytest.raises(InputError, match=r"saved\.json: Account tags are needed, and this source has none"):
        Inventory.load(api_settings(""), read_from=saved, with_tags=True)
    by_tag = "overrides: [{match: {tags: {data: restricted}}, set: {tags: {a: b}}}]\n"
    with pytest.raises(InputError, match=r"saved\.json: Account tags are needed"):
        Inventory.load(api_settings(by_tag), read_from=saved)


def test_tags_are_not_known_from_the_accelerator(load_lza: Callable[..., Inventory]) -> None:
    with pytest.raises(InputError, match=r"organization\.yaml:5 \(organization\.accounts\): Account tags are needed"):
        load_lza(extra="overrides: [{match: {tags: {data: restricted}}, set: {tags: {a: b}}}]\n")


def test_without_credentials_discovery_ends_in_one_sentence(
    api_settings: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AccessError, match=r"^Cannot describe the organization: no usable AWS credentials \(Unable"):
        Inventory.load(api_settings(""))

    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(AccessError, match=r"no usable AWS credentials \(The config profile \(absent\)"):
        Inventory.load(api_settings(""))


# --- Credentials -------------------------------------------------------------------------------------------------


def caller(session: boto3.Session) -> str:
    return session.client("sts").get_caller_identity()["Arn"]


@pytest.mark.usefixtures("aws")
def test_members_are_entered_by_the_deployment_role_and_the_management_account_is_not(
    load: Callable[[str], Inventory],
) -> None:
    context = load("")

    member = context.session(Account("111122223333", "Payments"), HOME)
    management = context.session(Account("100000000001", "Management", role=MANAGEMENT), HOME)

    assert caller(member) == "arn:aws:sts::111122223333:assumed-role/AWSControlTowerExecution/session-manager-rollout"
    assert "assumed-role" not in caller(management)


@pytest.mark.parametrize(
    ("region", "role", "arn"),
    [
        (HOME, "Deploy", "arn:aws:iam::111122223333:role/Deploy"),
        ("cn-north-1", "teams/Deploy", "arn:aws-cn:iam::111122223333:role/teams/Deploy"),
        ("us-gov-west-1", "Deploy", "arn:aws-us-gov:iam::111122223333:role/Deploy"),
    ],
)
def test_roles_are_in_the_partition_of_the_region(region: str, role: str, arn: str) -> None:
    assert role_arn("111122223333", role, region) == arn


def test_the_external_id_is_sent_only_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, str]] = []

    class Sts:
        def assume_role(self, **arguments: str) -> dict[str, dict[str, object]]:
            asked.append(arguments)
            keys = {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c"}
            return {"Credentials": {**keys, "Expiration": datetime.datetime.now(datetime.UTC)}}

    monkeypatch.setattr(boto3.Session, "client", lambda *_, **__: Sts())

    for external_id in (None, "handshake"):
        assume_role(boto3.Session(), "arn", HOME, sts_region=HOME, session_name="me", external_id=external_id)

    assert asked == [
        {"RoleArn": "arn", "RoleSessionName": "me", "DurationSeconds": 3600},
        {"RoleArn": "arn", "RoleSessionName": "me", "DurationSeconds": 3600, "ExternalId": "handshake"},
    ]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            botocore.exceptions.ClientError({"Error": {"Code": "ExpiredToken", "Message": "x"}}, "A"),
            "Cannot look: ExpiredToken. The AWS credentials have expired; sign in again.",
        ),
        (
            botocore.exceptions.ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": "x"}}, "A"),
            "Cannot look: InvalidClientTokenId. AWS does not accept these credentials; check AWS_PROFILE or the access",
        ),
        (
            botocore.exceptions.ClientError({"Error": {"Code": "InvalidSignatureException", "Message": "token"}}, "A"),
            "Cannot look: InvalidSignatureException. AWS does not accept these credentials; check AWS_PROFILE or the ",
        ),
        (
            botocore.exceptions.ClientError({"Error": {"Code": "AccessDenied", "Message": "Not you."}}, "A"),
            "Cannot look: AccessDenied. Not you.",
        ),
        (
            botocore.exceptions.NoCredentialsError(),
            "Cannot look: no usable AWS credentials (Unable to locate credentials); set AWS_PROFILE or sign in.",
        ),
        (
            botocore.exceptions.ProfileNotFound(profile="prod"),
            "Cannot look: no usable AWS credentials (The config profile (prod) could not be found); set AWS_PROFILE",
        ),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="https://x"),
            'Cannot look: Could not connect to the endpoint URL: "https://x"',
        ),
    ],
)
def test_what_botocore_raises_becomes_one_sentence(error: Exception, message: str) -> None:
    with pytest.raises(AccessError) as caught, translated_errors("look"):
        raise error

    assert str(caught.value).startswith(message)
    assert "token" not in str(caught.value)


REGIONAL = """\
overrides:
  - {match: {accounts: ["Pay*"]}, set: {regions: [eu-west-1], preferences: {idle_session_timeout: 5}}}
  - {match: {ou: Sandbox}, set: {regions: [eu-west-1]}}
  - {match: {accounts: [Late]}, set: {regions: null}}
exceptions:
  - {match: {accounts: [Legacy]}, set: {regions: [eu-west-1]}, owner: x, reason: y, expires: 2099-01-01}
"""


def test_regions_differ_from_account_to_account(write: Write, load: Callable[[str], Inventory], tmp_path: Path) -> None:
    write(
        "accounts.yaml",
        """\
        accounts:
          - {id: "111122223331", name: Everywhere}
          - {id: "111122223332", name: Payments}
          - {id: "111122223333", name: Trial, ou: Sandbox}
          - {id: "111122223334", name: Late, ou: Sandbox}
          - {id: "111122223335", name: Legacy}
          - {id: "111122223336", name: Here, regions: [eu-west-1]}
        """,
    )
    inventory = load(REGIONAL)

    targets = inventory.select(Selection(everything=True)).targets

    assert [target.account.name for target in targets if target.region == "us-east-1"] == ["Everywhere", "Late"]
    assert len([target for target in targets if target.is_home]) == 6
    # Regions are no setting of a target.
    payments = next(target for target in targets if target.account.name == "Payments")
    effective = inventory.settings.effective(payments.account, payments.region)
    assert effective.values.preferences.idle_session_timeout == 5
    assert "regions" not in effective.variables

    saved = tmp_path / "saved.json"
    save(inventory.organization, saved)
    again = Inventory.load(inventory.settings.document.path, read_from=saved)
    assert again.select(Selection(everything=True)) == inventory.select(Selection(everything=True))


@pytest.mark.parametrize(
    ("accounts", "rest", "message"),
    [
        ("", "{match: {}, set: {regions: [us-east-1]}}", r"set\.regions\): The home region eu-west-1 must be one of"),
        (
            "",
            "{match: {}, set: {regions: [eu-west-1, eu-north-1]}}",
            r'regions\[1\]\): .* not use the region "eu-north-1"',
        ),
        ("", "{match: {regions: [us-east-1]}, set: {regions: [eu-west-1]}}", r"remove match\.regions"),
        ("", "{match: {}, set: {regions: []}}", r"set\.regions\)"),
        ("", "{match: {}, set: {regions: [eu-west-1, eu-west-1]}}", "A region is listed twice"),
        (", regions: [us-east-1]", "", "lack the home region eu-west-1"),
        (", regions: [eu-west-1, eu-north-1]", "", "not all used: eu-north-1; add them to organization.regions"),
    ],
)
def test_regions_that_an_account_cannot_have(
    write: Write, load: Callable[[str], Inventory], accounts: str, rest: str, message: str
) -> None:
    write("accounts.yaml", f"accounts: [{{id: '111122223333', name: Payments{accounts}}}]")

    with pytest.raises(InputError, match=message):
        load(f"overrides: [{rest}]")


def test_the_sovereign_cloud_can_be_described_and_is_refused_where_terraform_cannot(write: Write) -> None:
    write("accounts.yaml", "accounts: [{id: '111122223333', name: Payments}]")
    path = write(
        "organization.yaml",
        """\
        schema_version: 1
        organization:
          id: o-exampleorgid
          home_region: eusc-de-east-1
          regions: [eusc-de-east-1]
          deployment_role: {name: Deploy}
          accounts: {source: file, path: accounts.yaml}
        defaults:
          preferences:
            session_key:
              kms_key_arn: "arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/0f5f5b5c-cb57-4552-8153-0f5f5b5ccb57"
        """,
    )

    inventory = Inventory.load(path)
    (target,) = inventory.select(Selection(everything=True)).targets
    outcomes = {one.name: one.error for one in examine(of_organization(inventory, [target])) if one.error}

    assert inventory.settings.effective(target.account, target.region).values.preferences.session_key.kms_key_arn
    assert role_arn("111122223333", "Deploy", target.region) == "arn:aws-eusc:iam::111122223333:role/Deploy"
    assert "the S3 backend of Terraform 1.11 does not accept its regions" in str(outcomes["partition"])
