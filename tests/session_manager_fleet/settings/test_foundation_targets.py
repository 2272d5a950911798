"""The log archive and the guardrails: in which account, with what, and what all others get of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from session_manager_fleet.accounts.model import LOG_ARCHIVE, MANAGEMENT, Account, Organization
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings.layers import Settings
from session_manager_fleet.settings.parsed import load_settings
from session_manager_fleet.settings.tolerance import Tolerance
from session_manager_fleet.targets.model import Selection, select_targets
from session_manager_fleet.targets.tfvars_files import renderer_of

MANAGER = Account("100000000001", "Management", role=MANAGEMENT)
ARCHIVE = Account("200000000002", "LogArchive", role=LOG_ARCHIVE)
MEMBER = Account("300000000003", "Payments", ou="Workloads")
OTHER = Account("400000000004", "Dev", ou="Workloads")
ORGANIZATION = Organization("o-exampleorgid", (MANAGER, ARCHIVE, MEMBER, OTHER), ("Workloads",))
HOME, SECOND = "eu-west-1", "us-east-1"
BUCKET = f"session-manager-logs-{ARCHIVE.id}-{HOME}"

SettingsFile = Callable[[str], Path]


def placed(settings_file: SettingsFile, text: str, organization: Organization = ORGANIZATION) -> Settings:
    return Settings.of(load_settings(settings_file(text)), organization, HOME)


def test_without_the_sections_nothing_is_placed(settings_file: SettingsFile) -> None:
    settings = placed(settings_file, "defaults: {}\n")
    assert not settings.effective(ARCHIVE, HOME).foundation
    assert not settings.effective(MEMBER, HOME).values.preferences.s3.enabled
    assert [wave.name for wave in settings.waves] == ["all"]


def test_the_log_archive_is_in_its_account_only(settings_file: SettingsFile) -> None:
    settings = placed(settings_file, "log_archive: {retention: {days: 400}}\n")
    found = settings.effective(ARCHIVE, HOME).foundation["log_archive"]
    assert found["organization_id"] == "o-exampleorgid"
    assert found["retention"]["days"] == 400
    for account, region in ((ARCHIVE, SECOND), (MANAGER, HOME), (MEMBER, HOME)):
        assert not settings.effective(account, region).foundation


def test_everybody_logs_to_the_archive(settings_file: SettingsFile) -> None:
    settings = placed(settings_file, "log_archive: {key_prefix: sessions}\n")
    for account in ORGANIZATION.accounts:
        for region in (HOME, SECOND):
            s3 = settings.effective(account, region).values.preferences.s3
            assert (s3.enabled, s3.bucket_name, s3.key_prefix) == (True, BUCKET, "sessions")
            assert (s3.kms_key_arn, s3.kms_key_account_id, s3.bucket_account_id) == (None, ARCHIVE.id, ARCHIVE.id)
    origin = settings.effective(MEMBER, HOME).origin(("preferences", "s3", "bucket_name"))
    assert origin is not None
    assert (origin.layer, origin.line) == ("log_archive", 8)


def test_a_key_and_a_bucket_that_exist(settings_file: SettingsFile) -> None:
    key = f"arn:aws:kms:{HOME}:{ARCHIVE.id}:key/0123"
    text = f"log_archive: {{existing_bucket_name: our-logs, bucket_key: {{kms_key_arn: '{key}'}}}}\n"
    s3 = placed(settings_file, text).effective(MEMBER, HOME).values.preferences.s3
    assert (s3.bucket_name, s3.kms_key_arn, s3.kms_key_account_id) == ("our-logs", key, None)
    assert s3.bucket_account_id == ARCHIVE.id


@pytest.mark.parametrize(
    "text",
    [
        "log_archive: {}\ndefaults: {preferences: {s3: {bucket_name: own-logs}}}\n",
        "log_archive: {}\noverrides: [{match: {ou: Workloads}, set: {preferences: {s3: {bucket_name: own-logs}}}}]\n",
    ],
)
def test_a_bucket_of_ones_own_has_nothing_of_the_archive(settings_file: SettingsFile, text: str) -> None:
    s3 = placed(settings_file, text).effective(MEMBER, HOME).values.preferences.s3
    assert (s3.enabled, s3.bucket_name, s3.kms_key_account_id) == (True, "own-logs", None)
    assert s3.bucket_account_id is None, "a bucket of their own is in their own account"


def test_logging_to_the_archive_can_be_switched_off(settings_file: SettingsFile) -> None:
    text = "log_archive: {}\noverrides: [{match: {accounts: [Dev]}, set: {preferences: {s3: {enabled: false}}}}]\n"
    settings = placed(settings_file, text)
    assert not settings.effective(OTHER, HOME).values.preferences.s3.enabled
    assert settings.effective(MEMBER, HOME).values.preferences.s3.enabled


def test_the_guardrails_exempt_who_deploys(settings_file: SettingsFile) -> None:
    text = "log_archive: {}\nguardrails: {attach_to: [r-abcd], exempt_role_arns: ['arn:aws:iam::*:role/BreakGlass']}\n"
    found = placed(settings_file, text).effective(MANAGER, HOME).foundation["guardrails"]
    assert found["exempt_role_arns"] == [
        "arn:aws:iam::*:role/AWSControlTowerExecution",
        "arn:aws:iam::*:role/BreakGlass",
    ]
    assert found["attach_to"] == ["r-abcd"]
    assert found["log_archive"] == {"bucket_name": BUCKET, "key_aliases": ["alias/session-manager/log-archive"]}


@pytest.mark.parametrize(
    ("archive", "guarded"),
    [
        (
            "session_key: {mode: separate, alias: alias/ours}",
            {"bucket_name": BUCKET, "key_aliases": ["alias/session-manager/log-archive", "alias/ours"]},
        ),
        (
            "session_key: {mode: shared}",
            {"bucket_name": BUCKET, "key_aliases": ["alias/session-manager/log-archive"]},
        ),
        (
            f"existing_bucket_name: our-logs, bucket_key: {{kms_key_arn: 'arn:aws:kms:{HOME}:{ARCHIVE.id}:key/0123'}}",
            {"bucket_name": "our-logs", "key_prefix": "sessionmanager", "key_aliases": []},
        ),
    ],
)
def test_the_guardrails_keep_what_the_log_archive_makes(
    settings_file: SettingsFile, archive: str, guarded: dict[str, object]
) -> None:
    settings = placed(settings_file, f"log_archive: {{{archive}}}\nguardrails: {{}}\n")
    assert settings.effective(MANAGER, HOME).foundation["guardrails"]["log_archive"] == guarded


def test_with_guardrails_nobody_shares_documents_with_everybody(settings_file: SettingsFile) -> None:
    for text, blocked in (("guardrails: {}\n", True), ("guardrails: {deny: {public_sharing: false}}\n", False)):
        settings = placed(settings_file, text)
        assert settings.effective(MEMBER, SECOND).values.preferences.block_public_sharing is blocked


def test_both_come_before_everybody_else(settings_file: SettingsFile) -> None:
    settings = placed(
        settings_file, "log_archive: {}\nguardrails: {}\nwaves: [{name: canary, match: {ou: Workloads}}]\n"
    )
    selected = select_targets(
        ORGANIZATION,
        home_region=HOME,
        regions=[HOME, SECOND],
        waves=settings.waves,
        selection=Selection(everything=True),
    )
    waves = [(target.key, target.wave) for target in selected.targets]
    assert waves[:2] == [(f"{MANAGER.id}/{HOME}", "foundation"), (f"{ARCHIVE.id}/{HOME}", "foundation")]
    assert [wave for _, wave in waves[2:]] == ["canary"] * 4 + ["rest"] * 2
    assert settings.waves[0].max_failures == Tolerance()


def test_the_variables_are_rendered_where_they_belong(settings_file: SettingsFile) -> None:
    settings = placed(settings_file, "log_archive: {}\nguardrails: {}\n")
    renderer = renderer_of(settings)
    selected = select_targets(
        ORGANIZATION,
        home_region=HOME,
        regions=[HOME],
        waves=settings.waves,
        selection=Selection(everything=True),
    )
    for target in selected.targets:
        text = renderer.render(target, settings.effective(target.account, target.region), settings.organization.roles)
        assert ("\nlog_archive = {" in text) == (target.account is ARCHIVE)
        assert ("\nguardrails = {" in text) == (target.account is MANAGER)


@pytest.mark.parametrize(
    ("text", "accounts", "message"),
    [
        ("log_archive: {}\n", (MANAGER, MEMBER), "set organization.log_archive_account"),
        ("guardrails: {}\n", (ARCHIVE, MEMBER), "role: management"),
        (
            "log_archive: {}\n",
            (MANAGER, Account(ARCHIVE.id, "LogArchive", role=LOG_ARCHIVE, state="SUSPENDED")),
            "is suspended",
        ),
    ],
)
def test_an_account_that_is_not_known(
    settings_file: SettingsFile, text: str, accounts: tuple[Account, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message) as refused:
        placed(settings_file, text, Organization("o-exampleorgid", accounts, ()))
    assert "organization.yaml:8" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("log_archive: {bucket_name: our.logs}\n", '"our.logs" is not a valid bucket name: use 3 to 63'),
        ("log_archive: {existing_bucket_name: our.logs}\n", "and no dots, which break TLS host names"),
        ("log_archive: {bucket_name: our-logs-s3alias}\n", "is reserved for S3"),
        ("guardrails: {deny: {sssh: true}}\n", 'did you mean "ssh"'),
        ("waves: [{name: foundation}]\n", "is reserved for the wave"),
    ],
)
def test_bad_sections_are_refused(settings_file: SettingsFile, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_settings(settings_file(text))


def test_a_region_logs_to_a_bucket_of_its_own(settings_file: SettingsFile) -> None:
    settings = placed(
        settings_file, "log_archive: {regions: [us-east-1], session_key: {mode: separate}}\nguardrails: {}\n"
    )
    there = BUCKET.replace(HOME, SECOND)
    for account in ORGANIZATION.accounts:
        for region, bucket in ((HOME, BUCKET), (SECOND, there)):
            values = settings.effective(account, region).values
            s3 = values.preferences.s3
            assert (s3.bucket_name, s3.bucket_account_id, s3.kms_key_account_id) == (bucket, ARCHIVE.id, ARCHIVE.id)
            # The instance policy has the values of the home region, for the nodes of all regions.
            assert [each.bucket_name for each in values.instance_policy.other_log_buckets] == [there]
    for region in (HOME, SECOND):
        made = settings.effective(ARCHIVE, region).foundation["log_archive"]
        assert (made.get("bucket_name"), made["session_key"]["mode"], "regions" in made) == (None, "separate", False)
    guarded = settings.effective(MANAGER, HOME).foundation["guardrails"]["log_archive"]
    assert (guarded["bucket_name"], guarded["other_buckets"]) == (BUCKET, [{"bucket_name": there}])
    selected = select_targets(
        organization=ORGANIZATION,
        home_region=HOME,
        regions=(HOME, SECOND),
        waves=settings.waves,
        selection=Selection(everything=True),
    )
    first = {(target.account.id, target.region) for target in selected.targets if target.wave == "foundation"}
    assert first == {(ARCHIVE.id, HOME), (ARCHIVE.id, SECOND), (MANAGER.id, HOME)}


def test_what_the_bucket_of_a_region_has_of_its_own(settings_file: SettingsFile) -> None:
    key = f"arn:aws:kms:{SECOND}:{ARCHIVE.id}:key/0123"
    own = f"{{existing_bucket_name: our-logs-us, kms_key_arn: '{key}'}}"
    text = f"log_archive: {{object_lock: {{days: 30}}, regions: {{us-east-1: {own}}}}}\nguardrails: {{}}\n"
    settings = placed(settings_file, text)
    s3 = settings.effective(MEMBER, SECOND).values.preferences.s3
    assert (s3.bucket_name, s3.kms_key_arn) == ("our-logs-us", key)
    home, other = (settings.effective(ARCHIVE, region).foundation["log_archive"] for region in (HOME, SECOND))
    assert home["object_lock"]["days"] == 30
    assert "object_lock" not in other, "nothing on an existing bucket is changed"
    guarded = settings.effective(MANAGER, HOME).foundation["guardrails"]["log_archive"]
    assert guarded["other_buckets"] == [{"bucket_name": "our-logs-us", "key_prefix": "sessionmanager"}]


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ("[eu-west-1]", "is the home region"),
        ("[eu-central-1]", "is none of organization.regions"),
        ("[nowhere-1]", "is not an AWS region"),
        ("{us-east-1: {bucket_name: logs-one}}", "The bucket logs-one is in one region only"),
        ("{us-east-1: {bucket_name: a-logs, existing_bucket_name: b-logs}}", "regions.us-east-1: bucket_name and"),
        (
            "{us-east-1: {kms_key_arn: 'arn:aws:kms:eu-west-1:200000000002:key/0123'}}",
            "must be a key of us-east-1, where the bucket is",
        ),
        ("{us-east-1: {bucket_name: logs-s3alias}}", "is reserved for S3"),
        (
            "{us-east-1: {bucket_name: a-logs, access_logging: {bucket_name: a-logs}}}",
            "regions.us-east-1: access_logging.bucket_name",
        ),
    ],
)
def test_regions_that_are_refused(settings_file: SettingsFile, regions: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        placed(settings_file, f"log_archive: {{bucket_name: logs-one, regions: {regions}}}\n")


def test_an_account_with_another_bucket_has_nothing_of_the_archives_of_regions(settings_file: SettingsFile) -> None:
    text = "log_archive: {regions: [us-east-1]}\ndefaults: {preferences: {s3: {bucket_name: own-logs}}}\n"
    settings = placed(settings_file, text)
    for region in (HOME, SECOND):
        values = settings.effective(MEMBER, region).values
        assert values.preferences.s3.bucket_name == "own-logs"
        assert values.instance_policy.other_log_buckets == []
