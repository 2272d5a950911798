"""Landing Zone Accelerator configurations, as the accelerator itself understands them."""

from collections.abc import Callable, Collection
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from session_manager_fleet.accounts.lza import deployment_role, from_lza
from session_manager_fleet.accounts.lza_files import AwsDirectory
from session_manager_fleet.accounts.model import AUDIT, LOG_ARCHIVE, MANAGEMENT, Account
from session_manager_fleet.demo.session import _organization_of
from session_manager_fleet.errors import AccessError, InputError

REGION = "eu-west-1"


def refused(folder: Path, *directory: "FakeDirectory") -> list[str]:
    """Return the problems of a folder."""
    with pytest.raises(InputError) as caught:
        from_lza(folder, *directory)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


ACCOUNTS_CONFIG = """\
mandatoryAccounts:
  - name: Management
    email: Management@example.com
    organizationalUnit: Root
  - name: LogArchive
    email: logs@example.com
    organizationalUnit: Security
  - name: Audit
    email: audit@example.com
    organizationalUnit: Security
workloadAccounts:
  - &web
    name: Web
    email: web@example.com
    organizationalUnit: Workloads/Prod/EU
  - name: Gov
    email: gov@example.com
    organizationalUnit: Workloads
    enableGovCloud: true
  - name: Closed
    email: closed@example.com
    organizationalUnit: Suspended
  - {<<: *web, name: Management, email: other@example.com}
accountIds:
  - {email: management@example.com, accountId: "100000000001"}
  - {email: logs@example.com, accountId: "100000000002"}
  - {email: audit@example.com, accountId: 100000000003}
  - {email: WEB@example.com, accountId: "111122223333"}
  - {email: gov@example.com, accountId: "111122224444"}
  - {email: closed@example.com, accountId: "111122225555"}
  - {email: other@example.com, accountId: "012345670123"}
"""
ORGANIZATION_CONFIG = """\
enable: true
organizationalUnits:
  - name: Security
  - name: "Workloads/Prod/EU "
  - name: Workloads
  - name: Suspended
    ignore: true
  - name: Suspended/Old
  - name: Unused
"""
GLOBAL_CONFIG = """\
homeRegion: &HOME eu-west-1
enabledRegions:
  - *HOME
  - us-east-1
managementAccountAccessRole: AWSControlTowerExecution
"""


@pytest.fixture
def lza(tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration folder; each file may be given with a replacement of some of its text."""

    def write(
        accounts: tuple[str, str] = ("", ""),
        organization: tuple[str, str] = ("", ""),
        global_: tuple[str, str] = ("", ""),
    ) -> Path:
        folder = tmp_path / "aws-accelerator-config"
        folder.mkdir()
        for name, text, (old, new) in (
            ("accounts", ACCOUNTS_CONFIG, accounts),
            ("organization", ORGANIZATION_CONFIG, organization),
            ("global", GLOBAL_CONFIG, global_),
        ):
            assert old in text
            path = folder / f"{name}-config.yaml"
            path.write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
        return folder

    return write


def test_a_folder_of_the_accelerator(lza: Callable[..., Path]) -> None:
    organization = from_lza(lza())

    assert [(account.id, account.name, account.ou, account.role) for account in organization.accounts] == [
        ("012345670123", "Management", "Workloads/Prod/EU", ""),
        ("100000000001", "Management", "Root", MANAGEMENT),
        ("100000000002", "LogArchive", "Security", LOG_ARCHIVE),
        ("100000000003", "Audit", "Security", AUDIT),
        ("111122223333", "Web", "Workloads/Prod/EU", ""),
        ("111122224444", "Gov", "Workloads", ""),
        ("111122225555", "Closed", "Suspended", ""),
    ]
    assert organization.organizational_units == (
        "Security",
        "Suspended",
        "Suspended/Old",
        "Unused",
        "Workloads",
        "Workloads/Prod",
        "Workloads/Prod/EU",
    )
    assert (organization.id, organization.home_region, organization.regions) == (None, REGION, (REGION, "us-east-1"))


def test_only_accounts_directly_in_an_ignored_unit_are_marked(lza: Callable[..., Path]) -> None:
    """As in the accelerator: `OrganizationConfig.isIgnored` compares the unit's full name."""
    folder = lza(accounts=("organizationalUnit: Suspended", "organizationalUnit: Suspended/Old"))
    assert not any(account.skip_reason for account in from_lza(folder).accounts)


def test_accounts_in_an_ignored_unit_are_kept_and_marked(lza: Callable[..., Path]) -> None:
    marked = {account.name: account.skip_reason for account in from_lza(lza()).accounts if account.skip_reason}

    assert marked == {"Closed": "Landing Zone Accelerator ignores the organizational unit Suspended"}


def test_the_deployment_role_of_the_accelerator(lza: Callable[..., Path]) -> None:
    assert deployment_role(lza()) == "AWSControlTowerExecution"


def test_a_folder_without_a_deployment_role(lza: Callable[..., Path]) -> None:
    folder = lza(global_=("managementAccountAccessRole: AWSControlTowerExecution", "other: x"))

    with pytest.raises(InputError, match="managementAccountAccessRole"):
        deployment_role(folder)


@pytest.mark.parametrize(
    ("accounts", "problem"),
    [
        (
            ('  - {email: gov@example.com, accountId: "111122224444"}\n', ""),
            '16 (workloadAccounts[1]): The account "Gov" (gov@example.com) has no id: add it to',
        ),
        (
            ('accountId: "111122224444"', "accountId: 11112222444"),
            '29 (accountIds[4]): The entry needs "accountId" as text.',
        ),
        (
            ('accountId: "111122224444"', 'accountId: "1111-2222-4444"'),
            '29 (accountIds[4].accountId): "1111-2222-4444" is not an account id; write twelve digits.',
        ),
        (
            ('accountId: "111122224444"', "accountId: 111122223333"),
            "29 (accountIds[4].accountId): Account 111122223333 is listed twice.",
        ),
        (
            ("{email: gov@example.com", "{email: Web@Example.com"),
            "29 (accountIds[4].email): The address Web@Example.com has two account ids.",
        ),
        (
            ("email: gov@example.com", "email: WEB@example.com"),
            "16 (workloadAccounts[1]): The address WEB@example.com is used by two accounts.",
        ),
        (
            ("organizationalUnit: Workloads\n", "organizationalUnit: Workload\n"),
            'The organizational unit "Workload" is not in organization-config.yaml (did you mean "Workloads"?).',
        ),
        (("name: Gov", "nme: Gov"), '16 (workloadAccounts[1]): The entry needs "name" as text.'),
        (
            ("name: Gov\n    email: gov@example.com", "other: Gov"),
            '16 (workloadAccounts[1]): The entry needs "name" and "email" as text.',
        ),
        (("workloadAccounts:\n", "workloadAccounts: [5]\nrest:\n"), "The entry needs"),
        (
            ("mandatoryAccounts:\n", "mandatoryAccounts: none\nrest:\n"),
            '1 (mandatoryAccounts): "mandatoryAccounts" must',
        ),
    ],
)
def test_refused_accelerator_accounts(lza: Callable[..., Path], accounts: tuple[str, str], problem: str) -> None:
    folder = lza(accounts=accounts)

    assert any(problem in line for line in refused(folder))


def test_a_folder_without_ids_tells_every_account(lza: Callable[..., Path]) -> None:
    folder = lza(accounts=("accountIds:", "ids:"))

    told = refused(folder)
    assert len(told) == 7
    assert all(line.startswith("accounts-config.yaml:") and "has no id: " in line for line in told)


@pytest.mark.parametrize(
    ("global_", "problem"),
    [
        (("homeRegion: &HOME eu-west-1", "home: &HOME eu-west-1"), 'The key "homeRegion" is missing.'),
        (("enabledRegions:\n", "regions:\n"), 'The key "enabledRegions" must be a list of regions.'),
        (("  - us-east-1", "  - {a: b}"), 'The key "enabledRegions" must be a list of regions.'),
    ],
)
def test_refused_accelerator_regions(lza: Callable[..., Path], global_: tuple[str, str], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        from_lza(lza(global_=global_))


@pytest.mark.parametrize("name", ["accounts", "organization", "global"])
@pytest.mark.parametrize("content", [None, "a: [", "[]", "", "x"])
def test_broken_and_missing_accelerator_files(lza: Callable[..., Path], name: str, content: str | None) -> None:
    folder = lza()
    path = folder / f"{name}-config.yaml"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)

    with pytest.raises(InputError, match=rf"{name}-config\.yaml"):
        from_lza(folder)


def test_a_missing_accelerator_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder does not exist"):
        from_lza(tmp_path / "absent")


def test_a_region_that_is_named_twice_is_one(lza: Callable[..., Path]) -> None:
    assert from_lza(lza(global_=("us-east-1", "eu-west-1"))).regions == (REGION,)


def test_tags_of_accounts_are_known_if_the_configuration_holds_any(lza: Callable[..., Path]) -> None:
    assert not from_lza(lza()).has_tags


def test_tags_of_accounts(lza: Callable[..., Path]) -> None:
    organization = from_lza(lza(("    enableGovCloud: true", "    tags: [{key: data, value: restricted}]")))

    assert organization.has_tags
    assert [account.tags for account in organization.accounts if account.name == "Gov"] == [{"data": "restricted"}]


def test_the_counterpart_of_an_account_in_govcloud_is_warned_of(lza: Callable[..., Path]) -> None:
    folder = lza()

    [warning] = from_lza(folder).warnings

    assert warning.startswith(
        f'{folder}/accounts-config.yaml:19 (workloadAccounts[1].enableGovCloud): The GovCloud counterpart of "Gov"'
    )


# --- Included files ----------------------------------------------------------------------------------------------


def test_included_files_are_read_relative_to_the_file_that_includes_them(lza: Callable[..., Path]) -> None:
    folder = lza(("accountIds:\n", "more: !include include/workloads.yaml\naccountIds:\n"))
    path = folder / "accounts-config.yaml"
    path.write_text(path.read_text().replace("workloadAccounts:", "old:").replace("more:", "workloadAccounts:"))
    (folder / "include").mkdir()
    (folder / "include" / "workloads.yaml").write_text(
        "- {name: Web, email: web@example.com, organizationalUnit: Workloads}\n- !include nested/gov.yaml\n"
    )
    (folder / "include" / "nested").mkdir()
    (folder / "include" / "nested" / "gov.yaml").write_text(
        "name: Gov\nemail: gov@example.com\norganizationalUnit: ../Workloads\n"
    )

    assert refused(folder) == [
        (
            'include/nested/gov.yaml:1 (workloadAccounts[1]): The organizational unit "../Workloads" is not in '
            'organization-config.yaml (did you mean "Workloads"?).'
        )
    ]

    (folder / "include" / "nested" / "gov.yaml").write_text(
        "name: Gov\nemail: gov@example.com\norganizationalUnit: Workloads\n"
    )
    assert [account.name for account in from_lza(folder).accounts][-2:] == ["Web", "Gov"]


@pytest.mark.parametrize(
    "name", ["../secrets.yaml", "/etc/hostname", "link.yaml", "absent.yaml", ".", "accounts-config.yaml"]
)
def test_included_files_that_are_refused(lza: Callable[..., Path], name: str) -> None:
    folder = lza(("workloadAccounts:\n", f"workloadAccounts: !include {name}\nold:\n"))
    (folder.parent / "secrets.yaml").write_text("[]")
    (folder / "link.yaml").symlink_to("../secrets.yaml")

    [problem] = refused(folder)
    assert problem.startswith(f'accounts-config.yaml:11 (workloadAccounts): The included file "{name}" ')


# --- Replacements ------------------------------------------------------------------------------------------------

REPLACEMENTS = """\
globalReplacements:
  - {key: Home, type: String, value: eu-central-1}
  - {key: All_Regions, type: StringList, value: [eu-central-1, us-east-1, eu-west-1]}
  - {key: Age, type: Number, value: 90}
  - {key: Role, type: SSM, path: /accelerator/role}
  - {key: Unused, path: /accelerator/unused}
  - {key: Domain, value: example.com}
"""
REPLACED = """\
homeRegion: {{Home}}
enabledRegions: [{{ All_Regions }}]
managementAccountAccessRole: "{{{Role}}}"
cloudwatchLogRetentionInDays: {{Age}}
logging: {sessionManager: {sendToS3: true, excludeAccounts: [{{Web}}], excludeRegions: [{{Home}}]}}
tags:
  - {key: a, value: "{{UNDEFINED}}"}
  - {key: b, value: "{{account Management}}"}
  - {key: c, value: "{{resolve:ssm:/accelerator/prefix}}"}
  - {key: d, value: "{{Unused}} {{#each All_Regions}}"}
"""


class FakeDirectory:
    """AWS as the test says it is; a refusal is what there is none of."""

    def __init__(self, accounts: list[Account] | None = None, parameters: dict[str, str] | None = None) -> None:
        self._accounts, self._parameters = accounts, parameters
        self.asked: list[tuple[str, str | None]] = []

    def accounts(self, emails: Collection[str], region: str | None) -> list[Account]:
        self.asked.append((", ".join(sorted(emails)), region))
        if self._accounts is None:
            raise AccessError("Cannot list the accounts of the organization: no usable AWS credentials.")
        return self._accounts

    def parameter(self, name: str, region: str | None) -> str:
        self.asked.append((name, region))
        if self._parameters is None:
            raise AccessError(f"Cannot read the parameter {name}: ParameterNotFound.")
        return self._parameters[name]


@pytest.fixture
def replaced(lza: Callable[..., Path]) -> Path:
    """A configuration with placeholders."""
    folder = lza(accounts=("email: closed@example.com\n", "email: closed@{{Domain}}\n"))
    (folder / "replacements-config.yaml").write_text(REPLACEMENTS)
    (folder / "global-config.yaml").write_text(REPLACED)
    return folder


def test_placeholders_are_replaced_before_yaml_is_parsed(replaced: Path) -> None:
    directory = FakeDirectory(parameters={"/accelerator/role": "Deploy"})

    organization = from_lza(replaced, directory)

    assert (organization.home_region, organization.regions) == (
        "eu-central-1",
        ("eu-central-1", "us-east-1", "eu-west-1"),
    )
    assert directory.asked == [("/accelerator/role", "eu-central-1")]
    assert "Gov, LogArchive" not in organization.warnings[0]
    assert "the regions us-east-1, eu-west-1." in organization.warnings[0]
    assert [account.email for account in organization.accounts if account.name == "Closed"] == ["closed@example.com"]


def test_a_parameter_that_cannot_be_read_is_reported_where_it_is_used(replaced: Path) -> None:
    assert refused(replaced, FakeDirectory()) == [
        (
            'global-config.yaml:3 (managementAccountAccessRole): "{{Role}}" is the parameter /accelerator/role of the '
            "management account. Cannot read the parameter /accelerator/role: ParameterNotFound."
        )
    ]

    with pytest.raises(InputError, match=r'"\{\{Role\}\}" is the parameter /accelerator/role .* which was not read'):
        from_lza(replaced)


def test_a_home_region_in_a_parameter_is_read_in_the_region_of_the_caller(replaced: Path) -> None:
    (replaced / "replacements-config.yaml").write_text(REPLACEMENTS.replace("value: eu-central-1}", "path: /home}"))
    directory = FakeDirectory(parameters={"/accelerator/role": "Deploy", "/home": "us-east-1"})

    assert from_lza(replaced, directory).home_region == "us-east-1"
    assert sorted(name for name, _ in directory.asked) == ["/accelerator/role", "/home"]
    assert {region for _, region in directory.asked} == {None}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "homeRegion: {{Hom}}",
            '1 (homeRegion): "{{Hom}}" has no value in replacements-config.yaml (did you mean "Home"?).',
        ),
        (
            "homeRegion: eu-west-1-{{Homer}}-{{Homer}}",
            '1 (homeRegion): "{{Homer}}" has no value in replacements-config.yaml (did you mean "Home"?).',
        ),
        ("enabledRegions: [eu-west-1, {{account Web}}]", '1 (enabledRegions[1]): "{{account Web}}" is not supported'),
        ("homeRegion: '{{#if a}}'", '1 (homeRegion): "{{#if a}}" is not supported; use a key of'),
    ],
)
def test_placeholders_without_a_value(replaced: Path, line: str, problem: str) -> None:
    key = line.partition(":")[0]
    rest = "".join(kept for kept in REPLACED.splitlines(keepends=True) if not kept.startswith((key, "managementA")))
    (replaced / "global-config.yaml").write_text(f"{line}\n{rest}")

    assert all(told.startswith(f"global-config.yaml:{problem}") for told in refused(replaced))


@pytest.mark.parametrize(
    "text", ["globalReplacements: [5]", "globalReplacements: [{key: a}]", "globalReplacements: [{value: a}]", "a: ["]
)
def test_refused_replacements(replaced: Path, text: str) -> None:
    (replaced / "replacements-config.yaml").write_text(text)

    with pytest.raises(InputError, match=r"replacements-config\.yaml:1"):
        from_lza(replaced)


@pytest.mark.parametrize("text", ["", "globalReplacements:", "[]", "other: 1"])
def test_a_replacements_file_may_hold_nothing(lza: Callable[..., Path], text: str) -> None:
    folder = lza()
    (folder / "replacements-config.yaml").write_text(text)

    assert from_lza(folder).home_region == REGION


# --- What the configuration leaves to AWS ------------------------------------------------------------------------


def test_missing_ids_are_found_by_address(lza: Callable[..., Path]) -> None:
    folder = lza(
        (
            (
                '  - {email: gov@example.com, accountId: "111122224444"}\n'
                '  - {email: closed@example.com, accountId: "111122225555"}\n'
            ),
            "",
        )
    )
    directory = FakeDirectory(
        [
            Account("999999999999", "other", email="GOV@Example.COM", state="SUSPENDED"),
            Account("888888888888", "x", email="closed@example.com"),
            Account("777777777777", "x", email="web@example.com"),
        ]
    )

    found = {account.name: account for account in from_lza(folder, directory).accounts}

    assert (found["Gov"].id, found["Gov"].skip_reason) == ("999999999999", "the account is suspended")
    assert (found["Closed"].id, found["Web"].id) == ("888888888888", "111122223333")
    assert directory.asked == [("closed@example.com, gov@example.com", REGION)]


def test_active_accounts_that_the_configuration_does_not_list_are_mentioned(lza: Callable[..., Path]) -> None:
    folder = lza(('  - {email: gov@example.com, accountId: "111122224444"}\n', ""))
    directory = FakeDirectory(
        [
            Account("999999999999", "Gov", email="gov@example.com"),
            Account("888888888888", "pool-017", email="pool-017@example.com"),
            Account("777777777777", "gone", email="gone@example.com", state="SUSPENDED"),
        ]
    )

    organization = from_lza(folder, directory)

    assert "pool-017" not in {account.name for account in organization.accounts}
    assert organization.warnings[-1].endswith(
        "Active accounts of the organization that are not in the configuration are no targets (1): pool-017."
    )


def test_the_api_is_not_asked_for_what_the_configuration_holds(lza: Callable[..., Path]) -> None:
    directory = FakeDirectory()

    from_lza(lza(), directory)

    assert directory.asked == []


def test_ids_that_are_not_found(lza: Callable[..., Path]) -> None:
    folder = lza(('  - {email: gov@example.com, accountId: "111122224444"}\n', ""))

    assert refused(folder, FakeDirectory([])) == [
        (
            'accounts-config.yaml:16 (workloadAccounts[1]): The account "Gov" (gov@example.com) has no id: '
            "no account of the organization has this address."
        )
    ]

    assert refused(folder, FakeDirectory()) == [
        (
            "accounts-config.yaml:1: Account ids are missing, and the Organizations API cannot be read. "
            "Cannot list the accounts of the organization: no usable AWS credentials."
        ),
        (
            'accounts-config.yaml:16 (workloadAccounts[1]): The account "Gov" (gov@example.com) has no id: add it to '
            '"accountIds", or run the command with credentials for the Organizations API.'
        ),
    ]


def test_an_emulated_organization_gives_its_accounts_the_ids_that_are_missing(lza: Callable[..., Path]) -> None:
    folder = lza(('  - {email: gov@example.com, accountId: "111122224444"}\n', ""))

    first, second = _organization_of(folder), _organization_of(folder)

    assert first == second
    [gov] = [account for account in first.accounts if account.name == "Gov"]
    assert len(gov.id) == 12
    assert gov.id.isdecimal()


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(("region", "asked"), [(None, REGION), ("us-east-1", "us-east-1")])
def test_the_management_account_is_asked_in_the_region_of_the_configuration_or_else_of_the_caller(
    monkeypatch: pytest.MonkeyPatch, region: str | None, asked: str
) -> None:
    make_client = boto3.Session.client
    regions: list[str] = []
    account = {"Id": "111122223333", "Name": "Web", "Email": "web@example.com", "State": "SUSPENDED"}

    def client(session: boto3.Session, service: str, **options: object) -> object:
        made = make_client(session, service, **options)  # type: ignore[call-overload]
        regions.append(str(options["region_name"]))
        stubber = Stubber(made)
        if service == "ssm":
            stubber.add_response("get_parameter", {"Parameter": {"Value": REGION}}, {"Name": "/home"})
        else:
            stubber.add_response("list_accounts", {"Accounts": [account]}, {})
        stubber.activate()
        return made

    monkeypatch.setattr(boto3.Session, "client", client)
    directory = AwsDirectory(REGION)

    assert directory.accounts([], region) == [
        Account("111122223333", "Web", email="web@example.com", state="SUSPENDED")
    ]
    assert directory.parameter("/home", region) == REGION
    assert regions == [asked, asked]


def test_without_credentials_the_management_account_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccessError, match="no usable AWS credentials"):
        AwsDirectory(REGION).accounts([], None)

    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(AccessError, match="no usable AWS credentials"):
        AwsDirectory(REGION).parameter("/a", None)


# --- Two owners of the session document ------------------------------------------------------------------------------

SESSION_MANAGER = "enabledRegions:\n", "logging:\n  sessionManager: {%s}\nenabledRegions:\n"


@pytest.mark.parametrize(
    ("settings", "accounts", "regions"),
    [
        ("sendToS3: true", "Management, LogArchive, Audit, Web, Gov", "eu-west-1, us-east-1"),
        (
            "sendToCloudWatchLogs: true, excludeAccounts: [Audit, Management], excludeRegions: [us-east-1]",
            "LogArchive, Web, Gov",
            "eu-west-1",
        ),
    ],
)
def test_a_second_owner_of_the_session_document_is_warned_of(
    lza: Callable[..., Path], settings: str, accounts: str, regions: str
) -> None:
    folder = lza(accounts=("  - {<<: *web", "  # "), global_=(SESSION_MANAGER[0], SESSION_MANAGER[1] % settings))

    warning = from_lza(folder).warnings[0]

    assert warning.startswith(
        f"{folder}/global-config.yaml:3 (logging.sessionManager): Landing Zone Accelerator also writes"
    )
    assert f"in the accounts {accounts} and the regions {regions}. Set sendToCloudWatchLogs" in warning


@pytest.mark.parametrize(
    "settings",
    ["", "sendToS3: false, sendToCloudWatchLogs: false", "sendToS3: true, excludeRegions: [eu-west-1, us-east-1]"],
)
def test_no_warning_where_the_accelerator_leaves_the_session_document_alone(
    lza: Callable[..., Path], settings: str
) -> None:
    folder = lza(global_=(SESSION_MANAGER[0], SESSION_MANAGER[1] % settings))

    assert not any("sessionManager" in warning for warning in from_lza(folder).warnings)


def test_an_excluded_account_must_exist(lza: Callable[..., Path]) -> None:
    folder = lza(global_=(SESSION_MANAGER[0], SESSION_MANAGER[1] % "sendToS3: true, excludeAccounts: [Adit]"))

    assert refused(folder) == [
        (
            'global-config.yaml:3 (logging.sessionManager.excludeAccounts): No account has the name "Adit" (did '
            'you mean "Audit"?).'
        )
    ]
