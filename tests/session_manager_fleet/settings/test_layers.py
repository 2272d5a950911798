"""organization.yaml: what is refused, and how its layers make the settings of a target."""

import datetime
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import indent

import pytest

from session_manager_fleet.accounts.model import Account, Organization
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings.layers import EffectiveSettings, Origin, Settings
from session_manager_fleet.settings.parsed import load_settings
from session_manager_fleet.settings.schema import Wave
from session_manager_fleet.settings.target import TargetSettings
from session_manager_fleet.settings.tolerance import Tolerance

MakeSettings = Callable[[str], Settings]
SettingsFile = Callable[[str], Path]

PROD = Account("111122223333", "Payments Prod", ou="Workloads/Prod", tags={"data": "restricted"})
DEV = Account("222233334444", "payments-dev", ou="Workloads/NonProd")
HOME, OTHER = "eu-west-1", "us-east-1"
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"


def refused(path: Path) -> str:
    """Return the problems of a file, without its folder."""
    with pytest.raises(InputError) as caught:
        load_settings(path)
    return str(caught.value).replace(f"{path.parent}/", "")


@pytest.fixture
def refusal(settings_file: SettingsFile) -> Callable[[str], str]:
    """Return the problems of a file with these lines below `organization`."""
    return lambda rest: refused(settings_file(rest))


def test_the_smallest_file_has_all_defaults(make_settings: MakeSettings) -> None:
    settings = make_settings("")

    effective = settings.effective(PROD, HOME)

    assert effective == EffectiveSettings(TargetSettings(), {}, frozenset())
    assert settings.waves == (Wave(name="all", max_failures=Tolerance.parse("100%")),)
    assert settings.organization.deployment_role.session_name == "session-manager-rollout"
    assert not settings.uses_tags


# --- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("default: {}", '8 (default): Unknown key "default" (did you mean "defaults"?).'),
        (
            "defaults:\n  preferences:\n    adopts: merge",
            '10 (defaults.preferences.adopts): Unknown key "adopts" (did you mean "adopt"?).',
        ),
        (
            "defaults: {preferences: {session_key: {key_arn: a}}}",
            '8 (defaults.preferences.session_key.key_arn): Unknown key "key_arn" (did you mean "kms_key_arn"?).',
        ),
        (
            "overrides:\n  - {match: {role: [audit]}, set: {}}",
            '9 (overrides[0].match.role): Unknown key "role" (did you mean "roles"?).',
        ),
        (
            "overrides:\n  - match: {}\n    set:\n      names: {logs_group: a}",
            '11 (overrides[0].set.names.logs_group): Unknown key "logs_group" (did you mean "log_group"?).',
        ),
        (
            "waves: [{name: a, match: {ous: [b]}}]",
            '8 (waves[0].match.ous): Unknown key "ous" (did you mean "ou"?).',
        ),
        (
            "exceptions: [{match: {}, owner: a, reason: b, expires: 2027-01-01, skipp: []}]",
            '8 (exceptions[0].skipp): Unknown key "skipp" (did you mean "skip"?).',
        ),
        ("defaults: {xyz: 1}", '8 (defaults.xyz): Unknown key "xyz".'),
        ("defaults: {tags: {a: b, a: c}}", '8 (defaults.tags.a): Duplicate key "a", first on line 8.'),
    ],
)
def test_unknown_and_duplicate_keys_are_refused_with_line_path_and_the_nearest_name(
    refusal: Callable[[str], str], rest: str, message: str
) -> None:
    assert refusal(rest) == f"organization.yaml:{message}"


@pytest.mark.parametrize(
    ("preferences", "place"),
    [
        ("idle_session_timeout: '20'", "idle_session_timeout"),
        ("idle_session_timeout: true", "idle_session_timeout"),
        ("idle_session_timeout: 0", "idle_session_timeout"),
        ("enabled: 'yes'", "enabled"),
        ("enabled: 1", "enabled"),
        ("s3: true", "s3"),
        ("s3: {bucket_name: my.bucket}", "s3.bucket_name"),
        ("cloudwatch: {streaming_enabled: 'true'}", "cloudwatch.streaming_enabled"),
        ("cloudwatch: {retention_in_days: 91}", "cloudwatch.retention_in_days"),
        ("revision: 2", "revision"),
        ("shell_profile: {linux: [a]}", "shell_profile.linux"),
    ],
)
def test_wrong_values_are_refused_where_they_stand(refusal: Callable[[str], str], preferences: str, place: str) -> None:
    message = refusal(f"""
        defaults:
          preferences: {{{preferences}}}
        """)

    assert message.startswith(f"organization.yaml:10 (defaults.preferences.{place}): ")
    assert "\n" not in message.replace("\\n", "")


def test_a_wrong_value_of_an_override_is_refused_before_any_target_is_known(refusal: Callable[[str], str]) -> None:
    message = refusal("""
        overrides:
          - match: {ou: A}
            set:
              preferences:
                idle_session_timeout: 99
        """)

    assert message.startswith("organization.yaml:13 (overrides[0].set.preferences.idle_session_timeout): ")


def test_all_problems_are_told_at_once(refusal: Callable[[str], str]) -> None:
    message = refusal("""
        defaults:
          preferences: {idle_session_timeout: 0, adopt: maybe}
          tags: {cost: 5}
        waves: [{name: "a b"}]
        """)

    assert [line.split(": ")[0] for line in message.splitlines()] == [
        "organization.yaml:10 (defaults.preferences.idle_session_timeout)",
        "organization.yaml:10 (defaults.preferences.adopt)",
        "organization.yaml:11 (defaults.tags.cost)",
        "organization.yaml:12 (waves[0].name)",
    ]


VALID = "id: o-exampleorgid\nhome_region: eu-west-1\nregions: [eu-west-1]\ndeployment_role: {name: Deploy}\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            VALID.replace("o-exampleorgid", "example"),
            '(organization.id): "example" is not an organization id such as o-exampleorgid',
        ),
        (VALID.replace("o-exampleorgid", '"o-exampleorgid\\n"'), "(organization.id): "),
        (VALID.replace("home_region: eu-west-1\n", ""), '"home_region" and "regions" are required'),
        (VALID.replace("[eu-west-1]", "[us-east-1]"), 'the home region "eu-west-1" must be one of "regions"'),
        (VALID.replace("[eu-west-1]", "[]"), "(organization.regions): "),
        (VALID.replace("[eu-west-1]", "[eu-west-1, eu-west-1]"), "A region is listed twice"),
        (
            VALID.replace("[eu-west-1]", "[eu-west-1, eu-wset-1]"),
            '(organization.regions[1]): "eu-wset-1" is not an AWS region (did you mean "eu-west-1"?)',
        ),
        (VALID.replace("home_region: eu-west-1", "home_region: mars-1"), '"mars-1" is not an AWS region'),
        (VALID.replace("deployment_role: {name: Deploy}\n", ""), 'The key "deployment_role" is missing'),
        (VALID.replace("Deploy", "arn:aws:iam::111122223333:role/Deploy"), "(organization.deployment_role.name): "),
        (VALID.replace("name: Deploy", "name: Deploy, duration: soon"), "(organization.deployment_role.duration): "),
        (VALID + "accounts: {source: file}", '(organization.accounts): The source "file" needs a path'),
        (VALID + "accounts: {source: lza}", 'The source "lza" needs a path'),
        (VALID + "accounts: {path: a.yaml}", 'The source "organizations" takes no path'),
        (VALID + "accounts: {source: ldap}", "(organization.accounts.source): "),
        (VALID + "state: {bucket: Upper}", "(organization.state.bucket): "),
        (VALID + "state: {region: eu-west-99}", '"eu-west-99" is not an AWS region'),
        (VALID + "state: {key_prefix: /a}", "(organization.state.key_prefix): "),
    ],
)
def test_refused_organizations(write: Callable[[str, str], Path], lines: str, message: str) -> None:
    path = write("organization.yaml", "schema_version: 1\norganization:\n" + indent(lines, "  "))

    assert message.lower() in refused(path).lower()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "organization.yaml:1: The file must be a mapping"),
        ("- a\n- b\n", "organization.yaml:1: The file must be a mapping"),
        ("schema_version: 2\norganization: {}\n", "organization.yaml:1 (schema_version): 2 is not valid here: use 1."),
        (
            "schema_version: '1'\norganization: {}\n",
            'organization.yaml:1 (schema_version): "1" is not valid here: use 1.',
        ),
        ("organization: {}\n", 'organization.yaml:1: The key "schema_version" is missing.'),
        ("schema_version: 1\norganization: [a]\n", "organization.yaml:2 (organization): "),
    ],
)
def test_files_that_are_no_settings(write: Callable[[str, str], Path], text: str, message: str) -> None:
    assert message in refused(write("organization.yaml", text))


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("waves: [{name: a}, {name: a}]", '(waves[1].name): Duplicate wave "a".'),
        ("waves: [{name: foundation}]", '(waves[0].name): The name "foundation" is reserved'),
        (
            "waves: [{name: rest, match: {ou: A}}, {name: b}]",
            '(waves[0].name): The wave "rest" is that of targets that match no wave',
        ),
        ("waves: [{name: 'a b'}]", "(waves[0].name): "),
        ("waves: [{name: a, max_failures: 101%}]", "(waves[0].max_failures): max_failures is a number"),
        ("waves: [{}]", '(waves[0]): The key "name" is missing.'),
        ("overrides: [{match: {ou: A}}]", '(overrides[0]): The key "set" is missing.'),
        ("overrides: [{set: {}}]", '(overrides[0]): The key "match" is missing.'),
        ("overrides: {match: {}, set: {}}", "(overrides): "),
        ("exceptions: [{match: {}, owner: '', reason: a, expires: 2027-01-01}]", "(exceptions[0].owner): "),
        ('exceptions: [{match: {}, owner: " \\t\\u200b", reason: a, expires: 2027-01-01}]', "(exceptions[0].owner): "),
        (
            "exceptions: [{match: {}, owner: a, reason: ' ', expires: 2027-01-01}]",
            "(exceptions[0].reason): This must not be blank.",
        ),
        ("exceptions: [{match: {}, owner: a, reason: '', expires: 2027-01-01}]", "(exceptions[0].reason): "),
        ("exceptions: [{match: {}, owner: a, reason: a, expires: never}]", "(exceptions[0].expires): "),
        ("exceptions: [{match: {}, owner: a, reason: a, expires: 2027-01-01 10:00:00}]", "(exceptions[0].expires): "),
        ("exceptions: [{match: {}, owner: a, reason: a, expires: 2027-01-01, skip: [all]}]", "(exceptions[0].skip[0])"),
    ],
)
def test_refused_waves_overrides_and_exceptions(refusal: Callable[[str], str], rest: str, message: str) -> None:
    assert f"organization.yaml:8 {message}" in refusal(rest)


@pytest.mark.parametrize("condition", ["accounts: ", "accounts: []", "ou: ''", "ou: []", "tags: {}", "regions: "])
def test_an_emptied_condition_does_not_come_to_mean_every_target(refusal: Callable[[str], str], condition: str) -> None:
    rest = f"""
        exceptions:
          - match: {{{condition}}}
            skip: [preferences]
            owner: a
            reason: b
            expires: 2027-01-01
        """

    key = condition.partition(":")[0]
    assert refusal(rest) == (
        f'organization.yaml:10 (exceptions[0].match.{key}): The condition "{key}" is empty; remove it to match every '
        "target."
    )


# --- Layers ----------------------------------------------------------------------------------------------------------

LAYERS = """\
defaults:
  preferences:
    idle_session_timeout: 15
    cloudwatch: {retention_in_days: 30, streaming_enabled: true}
  tags: {managed-by: rollout, env: any}
overrides:
  - match: {ou: "Workloads/**"}
    set:
      preferences:
        idle_session_timeout: 10
        cloudwatch:
          retention_in_days: 365
      tags: {env: workload}
  - match: {ou: Workloads/Prod, regions: [us-east-1]}
    set:
      preferences: {idle_session_timeout: 5}
exceptions:
  - match: {accounts: ["111122223333"], regions: [us-east-1]}
    set: {preferences: {cloudwatch: {retention_in_days: 731}}}
    skip: [config_rule, instance_policy]
    owner: payments
    reason: audit
    expires: 2027-03-31
"""


@pytest.mark.parametrize(
    ("account", "region", "idle", "retention", "env", "skipped"),
    [
        (Account("444455556666", "Security", ou="Security"), HOME, 15, 30, "any", set()),
        (DEV, HOME, 10, 365, "workload", set()),
        (PROD, HOME, 10, 365, "workload", set()),
        (PROD, OTHER, 5, 731, "workload", {"config_rule", "instance_policy"}),
    ],
)
def test_later_layers_win_and_objects_merge_deeply(
    make_settings: MakeSettings,
    account: Account,
    region: str,
    idle: int,
    retention: int,
    env: str,
    skipped: set[str],
) -> None:
    effective = make_settings(LAYERS).effective(account, region)

    preferences = effective.values.preferences
    assert (preferences.idle_session_timeout, preferences.cloudwatch.retention_in_days) == (idle, retention)
    assert preferences.cloudwatch.streaming_enabled
    assert effective.values.tags == {"managed-by": "rollout", "env": env}
    assert effective.skipped == skipped


def test_every_value_knows_the_line_and_the_layer_that_set_it(make_settings: MakeSettings) -> None:
    origins = make_settings(LAYERS).effective(PROD, OTHER).origins

    assert origins == {
        ("preferences", "idle_session_timeout"): Origin(23, "overrides[1]"),
        ("preferences", "cloudwatch", "retention_in_days"): Origin(26, "exceptions[0]", owner="payments"),
        ("preferences", "cloudwatch", "streaming_enabled"): Origin(11, "defaults"),
        ("tags", "managed-by"): Origin(12, "defaults"),
        ("tags", "env"): Origin(20, "overrides[0]"),
        ("config_rule", "enabled"): Origin(27, "exceptions[0]", owner="payments"),
        ("instance_policy", "enabled"): Origin(27, "exceptions[0]", owner="payments"),
    }


def test_a_skipped_component_is_not_enabled_whatever_else_is_set(make_settings: MakeSettings) -> None:
    settings = make_settings("""\
        exceptions:
          - {match: {accounts: ["111122223333"]}, skip: [config_rule], owner: a, reason: b, expires: 2027-01-01}
          - match: {ou: Workloads/Prod}
            set: {config_rule: {enabled: true, auto_remediation: true}}
            owner: c
            reason: d
            expires: 2027-01-01
        """)

    effective = settings.effective(PROD, HOME)

    assert not effective.values.config_rule.enabled
    assert effective.values.config_rule.auto_remediation
    assert effective.origin(("config_rule", "enabled")) == Origin(9, "exceptions[0]", owner="a")


def test_null_takes_away_what_lower_layers_set(make_settings: MakeSettings) -> None:
    settings = make_settings("""
        defaults:
          preferences:
            idle_session_timeout: 10
            cloudwatch: {log_group_name: custom, retention_in_days: 30}
            run_as: {enabled: true, default_user: operator}
          tags: {env: any, owner: me}
        overrides:
          - match: {ou: Workloads/Prod}
            set:
              preferences:
                idle_session_timeout: null
                cloudwatch: {log_group_name: ~}
                run_as:
              tags: {env: null}
        """)

    effective = settings.effective(PROD, HOME)

    assert effective.values.preferences.idle_session_timeout == 20
    assert effective.values.preferences.cloudwatch.log_group_name is None
    assert effective.values.preferences.cloudwatch.retention_in_days == 30
    assert not effective.values.preferences.run_as.enabled
    assert effective.values.tags == {"owner": "me"}
    by_override = {
        ("preferences", "idle_session_timeout"): 19,
        ("preferences", "cloudwatch", "log_group_name"): 20,
        ("preferences", "run_as"): 21,
        ("tags", "env"): 22,
    }
    assert effective.origins == {
        ("preferences", "cloudwatch", "retention_in_days"): Origin(12, "defaults"),
        ("tags", "owner"): Origin(14, "defaults"),
        **{key_path: Origin(line, "overrides[0]", unset=True) for key_path, line in by_override.items()},
    }
    assert effective.origin(("preferences", "run_as", "default_user")) == Origin(21, "overrides[0]", unset=True)
    assert effective.origin(("preferences", "adopt")) is None
    assert settings.effective(DEV, HOME).values.preferences.run_as.default_user == "operator"


def test_lists_are_replaced_as_a_whole(make_settings: MakeSettings) -> None:
    settings = make_settings("""
        defaults: {instance_policy: {regions: [eu-west-1, us-east-1]}}
        overrides: [{match: {ou: Workloads/Prod}, set: {instance_policy: {regions: [eu-west-1]}}}]
        """)

    assert settings.effective(PROD, HOME).values.instance_policy.regions == ["eu-west-1"]
    assert settings.effective(DEV, HOME).values.instance_policy.regions == ["eu-west-1", "us-east-1"]


def test_a_merged_anchor_keeps_the_line_of_the_anchor(make_settings: MakeSettings) -> None:
    settings = make_settings("""\
        defaults:
          preferences: &strict
            idle_session_timeout: 5
        overrides:
          - match: {ou: Workloads/Prod}
            set: {preferences: {<<: *strict, max_session_duration: 30}}
        """)

    origins = settings.effective(PROD, HOME).origins

    assert origins["preferences", "idle_session_timeout"] == Origin(10, "overrides[0]")
    assert origins["preferences", "max_session_duration"] == Origin(13, "overrides[0]")


@pytest.mark.parametrize(
    ("preferences", "message"),
    [
        ("max_session_duration: 20", "max_session_duration must be greater than idle_session_timeout"),
        ("s3: {enabled: true}", "s3.enabled needs s3.bucket_name"),
        ("run_as: {enabled: true}", "run_as.enabled needs run_as.default_user"),
        (f"session_key: {{enabled: false, kms_key_arn: 'arn:aws:kms:{HOME}:111122223333:key/{KEY_ID}'}}", "no effect"),
        ("cloudwatch: {log_group_name: '', create_log_group: false}", "Sessions are not logged at all"),
        ("cloudwatch: {log_group_name: ''}, s3: {enabled: true, bucket_name: logs-of-all}", "must be false when"),
        ("cloudwatch: {log_group_name: ''}, waive: [no_log_destination]", "cloudwatch.create_log_group must be false"),
        (
            f'shell_profile: {{linux: "{("é" * 200 + chr(92) + "n") * 74}", windows: {"b" * 30_327}}}',
            "have 60,001 bytes together",
        ),
        (f"session_key: {{kms_key_arn: 'arn:aws:kms:{OTHER}:111122223333:key/{KEY_ID}'}}", "be a key of eu-west-1"),
        (
            f"cloudwatch: {{kms_key_arn: 'arn:aws:kms:{OTHER}:111122223333:key/a'}}",
            "a key of eu-west-1, not of us-east",
        ),
    ],
)
def test_values_that_do_not_fit_together_are_refused_for_the_target(
    make_settings: MakeSettings, preferences: str, message: str
) -> None:
    settings = make_settings(f"defaults:\n  preferences: {{{preferences}}}")

    with pytest.raises(InputError) as caught:
        settings.effective(PROD, HOME)

    [problem] = caught.value.problems
    assert "organization.yaml:9 (defaults.preferences" in problem.location
    assert problem.message.startswith("For 111122223333 (Payments Prod) in eu-west-1: ")
    assert message in problem.message


def test_all_that_does_not_fit_together_is_told_at_once_each_with_its_line(make_settings: MakeSettings) -> None:
    settings = make_settings("""\
        defaults:
          preferences:
            idle_session_timeout: 60
            max_session_duration: 30
            s3: {enabled: true}
        overrides:
          - match: {ou: Workloads/Prod}
            set:
              preferences:
                run_as: {enabled: true}
                session_key: {organization_id: o-exampleorgid, enabled: false}
        """)

    with pytest.raises(InputError) as caught:
        settings.effective(PROD, HOME)

    assert [problem.location.partition("organization.yaml:")[2] for problem in caught.value.problems] == [
        "11 (defaults.preferences.max_session_duration)",
        "12 (defaults.preferences.s3.enabled)",
        "18 (overrides[0].set.preferences.session_key.organization_id)",
        "17 (overrides[0].set.preferences.run_as.enabled)",
    ]


def test_what_cannot_be_read_does_not_hide_what_else_is_wrong(refusal: Callable[[str], str]) -> None:
    told = refusal("""\
        defaults:
          preferences: {idle_session_timeout: 99, idle_session_timeot: 1}
        overrides:
          - match: {accounts: [], ous: "Workloads/**", tags: {}}
            set: {}
        exceptions:
          - {match: {}, owner: a, reason: b, expires: 2027-02-30}
          - {match: {}, owner: a, owner: b, reason: " ", expires: 2027-02-28}
        """)

    assert [line.partition(": ")[0].removeprefix("organization.yaml:") for line in told.splitlines()] == [
        "14 (exceptions[0].expires)",
        "15 (exceptions[1].owner)",
        "9 (defaults.preferences.idle_session_timeout)",
        "9 (defaults.preferences.idle_session_timeot)",
        "11 (overrides[0].match.accounts)",
        "11 (overrides[0].match.tags)",
        "11 (overrides[0].match.ous)",
        "15 (exceptions[1].reason)",
    ]


def test_all_that_does_not_fit_together_in_a_section_is_told_at_once(refusal: Callable[[str], str]) -> None:
    told = refusal("""\
        log_archive:
          existing_bucket_name: session-logs
          bucket_name: other-logs
          object_lock: {days: 400}
          retention: {days: 30}
        guardrails:
          deny: {other_documents: false}
          other_session_documents: [Team-Session]
          attach_to: [r-abcd]
        """)

    assert [line.partition(": ")[0].removeprefix("organization.yaml:") for line in told.splitlines()] == [
        "10 (log_archive.bucket_name)",
        "11 (log_archive.object_lock)",
        "12 (log_archive.retention.days)",
        "15 (guardrails.other_session_documents)",
    ]


def test_a_key_is_one_of_the_region_where_it_is_used(make_settings: MakeSettings) -> None:
    settings = make_settings(f"""\
        defaults:
          preferences: {{session_key: {{kms_key_arn: "arn:aws:kms:eu-west-1:111122223333:key/{KEY_ID}"}}}}
        exceptions:
          - {{match: {{accounts: [Dev]}}, skip: [preferences], owner: a, reason: b, expires: 2027-01-01}}
        """)

    settings.effective(PROD, HOME)
    settings.effective(replace(DEV, name="Dev"), "us-east-1")
    with pytest.raises(InputError) as caught:
        settings.effective(PROD, "us-east-1")
    assert str(caught.value).endswith(
        "organization.yaml:9 (defaults.preferences.session_key.kms_key_arn): For 111122223333 (Payments Prod) in "
        "us-east-1: preferences.session_key.kms_key_arn must be a key of us-east-1, not of eu-west-1; set one "
        "per region, with an override that matches the region."
    )


def test_layers_that_fit_only_together_are_accepted(make_settings: MakeSettings) -> None:
    settings = make_settings("""
        defaults: {preferences: {max_session_duration: 15}}
        overrides: [{match: {}, set: {preferences: {idle_session_timeout: 10}}}]
        """)

    assert settings.effective(PROD, HOME).values.preferences.max_session_duration == 15


def test_layers_that_contradict_each_other_name_the_later_line(make_settings: MakeSettings) -> None:
    settings = make_settings("""\
        defaults: {preferences: {max_session_duration: 30}}
        overrides:
          - match: {ou: Workloads/Prod}
            set: {preferences: {idle_session_timeout: 40}}
        """)

    assert settings.effective(DEV, HOME).values.preferences.idle_session_timeout == 20
    with pytest.raises(
        InputError,
        match=r"organization\.yaml:11 \(overrides\[0\]\.set\.preferences\.idle_session_timeout\): For 111122",
    ):
        settings.effective(PROD, HOME)


def test_the_keys_of_data_and_logs_must_differ(make_settings: MakeSettings) -> None:
    settings = make_settings("defaults: {names: {logs_key_alias: alias/session-manager/data}}")

    with pytest.raises(InputError, match="must differ"):
        settings.effective(PROD, HOME)


# --- Against the organization ----------------------------------------------------------------------------------------


def test_matchers_that_match_nothing_are_refused_with_their_lines(
    make_settings: MakeSettings, organization: Organization
) -> None:
    settings = make_settings("""\
        overrides:
          - match: {ou: Workload/**}
            set: {}
          - match:
              accounts:
                - Management
                - Nobody
              ou: [Workloads/**, Nowhere]
            set: {}
        exceptions: [{match: {regions: [eu-north-1]}, owner: a, reason: b, expires: 2027-01-01}]
        waves: [{name: a, match: {accounts: ["999900001111"]}}]
        """)

    with pytest.raises(InputError) as caught:
        settings.check_against(organization, HOME, [HOME, OTHER])

    prefix = f"{settings.document.path}:"
    assert [problem.location.removeprefix(prefix) for problem in caught.value.problems] == [
        "9 (overrides[0].match.ou[0])",
        "15 (overrides[1].match.ou[1])",
        "14 (overrides[1].match.accounts[1])",
        "17 (exceptions[0].match.regions[0])",
        "18 (waves[0].match.accounts[0])",
    ]
    assert [problem.message for problem in caught.value.problems] == [
        'No organizational unit matches "Workload/**" (did you mean "Workloads"?).',
        'No organizational unit matches "Nowhere".',
        'No account matches "Nobody".',
        'The organization does not use the region "eu-north-1"; it uses eu-west-1, us-east-1.',
        'No account has the id "999900001111".',
    ]


def test_credentials_of_another_organization_are_refused(make_settings: MakeSettings) -> None:
    other = Organization("o-somebodyelse", (), ())

    with pytest.raises(InputError, match=r"organization\.yaml:3 \(organization\.id\): .* o-somebodyelse\."):
        make_settings("").check_against(other, HOME, [HOME])


def test_what_is_allowed_but_does_hardly_what_was_meant_is_told(
    make_settings: MakeSettings, organization: Organization
) -> None:
    settings = make_settings("""\
        defaults: {names: {log_group: sessions}}
        overrides:
          - match: {regions: [us-east-1]}
            set:
              preferences:
                idle_session_timeout: 10
                s3: {bucket_name: logs-of-virginia}
                session_key: {enabled: true}
          - {match: {regions: [us-east-1, eu-west-1]}, set: {names: {log_group: everywhere}}}
          - {match: {tags: {data: restricted, env: qa}}, set: {names: {log_group: restricted}}}
        exceptions:
          - match: {accounts: [Legacy], regions: [eu-west-1]}
            set: {names: {data_key_alias: alias/mine}}
            owner: legacy
            reason: its own key
            expires: 2099-12-31
        """)

    warnings = settings.warnings(organization, HOME, [HOME, OTHER])

    prefix = f"{settings.document.path}:"
    assert [warning.location.removeprefix(prefix) for warning in warnings] == [
        "17 (overrides[2].match.tags.env)",
        "14 (overrides[0].set.preferences.s3.bucket_name)",
        "20 (exceptions[0].set.names.data_key_alias)",
    ]
    assert warnings[0].message == 'No account has the tag "env" with the value "qa"; nothing matches.'
    assert warnings[1].message.startswith(
        "This applies to us-east-1 only, but the instance policy exists once per account"
    )
    assert "from the home region eu-west-1" in warnings[2].message


def test_a_session_key_of_one_region_is_warned_of_unless_the_instance_policy_allows_it(
    make_settings: MakeSettings, organization: Organization
) -> None:
    regions = [HOME, OTHER, "eu-north-1"]
    keys = [f"arn:aws:kms:{region}:111122223333:key/{KEY_ID}" for region in regions]
    settings = make_settings(f"""
        defaults: {{instance_policy: {{session_key_arns: ["{keys[1]}"]}}}}
        overrides:
          - {{match: {{regions: [{HOME}]}}, set: {{preferences: {{session_key: {{kms_key_arn: "{keys[0]}"}}}}}}}}
          - {{match: {{regions: [{OTHER}]}}, set: {{preferences: {{session_key: {{kms_key_arn: "{keys[1]}"}}}}}}}}
          - {{match: {{regions: [eu-north-1]}}, set: {{preferences: {{session_key: {{kms_key_arn: "{keys[2]}"}}}}}}}}
        """)

    warnings = settings.warnings(organization, HOME, regions)

    assert [warning.location.rpartition("organization.yaml:")[2] for warning in warnings] == [
        "13 (overrides[2].set.preferences.session_key.kms_key_arn)"
    ]


def test_ssm_user_as_the_user_of_run_as_is_warned_of(make_settings: MakeSettings, organization: Organization) -> None:
    settings = make_settings("""
        defaults: {preferences: {run_as: {enabled: true, default_user: ssm-user}}}
        overrides:
          - {match: {regions: [eu-west-1]}, set: {preferences: {run_as: {default_user: ops}}}}
          - {match: {regions: [eu-west-1]}, set: {preferences: {run_as: {enabled: false, default_user: ssm-user}}}}
        """)

    (warning,) = settings.warnings(organization, HOME, [HOME])

    assert "the agent does not create ssm-user" in str(warning)
    assert warning.location.endswith("(defaults.preferences.run_as.default_user)")


@pytest.mark.parametrize("written", ["2027-03-31", '"2027-03-31"'])
def test_dates_may_be_quoted(make_settings: MakeSettings, written: str) -> None:
    settings = make_settings(f"exceptions: [{{match: {{}}, owner: a, reason: b, expires: {written}}}]")

    assert settings.exceptions[0].expires == datetime.date(2027, 3, 31)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("soon", '"soon" is not a date; write it as 2027-03-31.'),
        ("2027-02-30", "day is out of range for month."),
        ('"2027-02-30"', '"2027-02-30" is not a date'),
        ("2027", '"2027" is not a date'),
        ("2027-03-31 10:00:00", "is not a date"),
        ("[]", '"[]" is not a date'),
    ],
)
def test_other_dates_are_refused(refusal: Callable[[str], str], written: str, message: str) -> None:
    text = refusal(f"exceptions:\n  - {{match: {{}}, owner: a, reason: b, expires: {written}}}")

    assert text.startswith("organization.yaml:9 (exceptions[0].expires): ")
    assert message in text


def test_roles_are_matched(make_settings: MakeSettings, organization: Organization) -> None:
    settings = make_settings("""\
        overrides:
          - {match: {roles: [management, log-archive]}, set: {tags: {core: "yes"}}}
          - {match: {roles: [audit]}, set: {}}
        """)
    tagged = {
        account.name
        for account in organization.accounts
        if settings.effective(account, HOME).values.tags.get("core") == "yes"
    }

    assert tagged == {"Management", "Log Archive"}
    with pytest.raises(InputError, match=r"yaml:10 \(overrides\[1\]\.match\.roles\[0\]\): No account has the role"):
        settings.check_against(organization, HOME, [HOME])


def test_tags_are_asked_for_only_where_a_matcher_needs_them(make_settings: MakeSettings) -> None:
    with_tags = "waves: [{name: a, match: {tags: {data: restricted}}}]"

    assert make_settings(with_tags).uses_tags
    assert not make_settings("waves: [{name: a, match: {ou: A}}]").uses_tags


def test_the_example_is_valid(organization: Organization) -> None:
    example = Path(__file__).parents[3] / "examples" / "organization" / "organization.yaml"

    settings = Settings.of(load_settings(example), organization, HOME)

    assert settings.effective(PROD, HOME).values.preferences.idle_session_timeout == 10
