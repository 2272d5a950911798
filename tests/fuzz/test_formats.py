"""Every format that is read, with files that were valid until they were changed: accounts or a refusal, no bug.

`make test` reads a fixed number of them. `make fuzz` goes on for FUZZ_SECONDS for each format, from another beginning
every time; a failure prints the seed and the smallest file that it found.
"""

# ruff: noqa: E501 - the examples of files have lines as long as such files have

import datetime
import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies

from session_manager_fleet.accounts import deployment_role, from_file, from_lza, from_saved
from session_manager_fleet.accounts.model import Account
from session_manager_fleet.changes import change_set_of, protected_destructions
from session_manager_fleet.errors import FleetError
from session_manager_fleet.reports import REPORTS, VERIFICATION_REPORTS
from session_manager_fleet.run.folder import JOURNAL, RunFolder
from session_manager_fleet.run.merge import read_parts
from session_manager_fleet.run.order import _held as held
from session_manager_fleet.run.read_back import managed_settings
from session_manager_fleet.run.run_lock import RunLock
from session_manager_fleet.run.saved_plan import MANIFEST, Origin, PlanConstraints, Toolchain, check
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets import EVERYTHING, Inventory, Target, render, renderer_of, values_of
from session_manager_fleet.terraform import RootModule, other_configuration
from session_manager_fleet.terraform.output import Messages
from session_manager_fleet.terraform.state_locks import _parse as parse_lock
from session_manager_fleet.terraform.stray_states import _count as count_resources
from session_manager_fleet.verify.evidence import VERIFICATION, History, Verification, earlier_runs, read_verification
from tests.saved_plans import save_plan

FLEET = Path(__file__).parents[1] / "session_manager_fleet"
RUNS = FLEET / "run" / "golden"
EXAMPLES = 40
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
TARGET = Target(Account("111122223333", "Payments"), "eu-west-1", "eu-west-1")
NOW = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)

CONFIG = b"""schema_version: 1
organization:
  id: o-exampleorgid
  home_region: eu-west-1
  regions: [eu-west-1, us-east-1]
  deployment_role: {name: a/Deploy, external_id: some-id}
  accounts: {source: file, path: accounts.yaml}
  state: {key_prefix: states}
defaults: &d {tags: {team: x}, preferences: {idle_session_timeout: 20}}
overrides:
- {match: {accounts: ['Pay*'], ou: 'Work/**', regions: [us-east-1], tags: {a: b}}, set: {<<: *d, tags: null}}
exceptions:
- {match: {accounts: [222233334444]}, skip: [config_rule], owner: o, reason: r, expires: 2099-01-31}
waves:
- {name: canary, match: {ou: Work}, max_failures: 5%}
- {name: all}
"""
ACCOUNTS = b"""accounts:
- {id: 111122223333, name: Payments, email: a@example.com, ou: Work/Prod, state: ACTIVE, tags: {a: b}}
- {id: "222233334444", name: Log Archive, ou: Security, role: log-archive}
- {id: 333344445555, name: '# Old', state: SUSPENDED}
"""
CSV = b'id,name,email,ou,state,role,tag:a\r\n111122223333,"Pay, Inc",a@x,Work/Prod,ACTIVE,,b\r\n222233334444,Log,,,,audit,\r\n'
LZA = {
    "accounts-config.yaml": b"""mandatoryAccounts:
- {name: Management, email: M@x, organizationalUnit: Root}
workloadAccounts:
- &w {name: Web, email: w@x, organizationalUnit: "{{ Unit }}", tags: [{key: a, value: b}]}
- {<<: *w, email: v@x, name: Other, enableGovCloud: true}
accountIds: [{email: m@x, accountId: 100000000001}, {email: w@x, accountId: "111122223333"}, {email: v@x, accountId: '222233334444'}]
""",
    "organization-config.yaml": b"enable: true\norganizationalUnits:\n- {name: Work}\n- {name: Work/Prod, ignore: true}\n",
    "global-config.yaml": b"""homeRegion: eu-west-1
enabledRegions: [eu-west-1, '{{Second}}']
managementAccountAccessRole: Role
logging: !include logging.yaml
""",
    "logging.yaml": b"sessionManager: {sendToS3: true, excludeAccounts: [Web], excludeRegions: []}\n",
    "replacements-config.yaml": b"""globalReplacements:
- {key: Unit, value: Work}
- {key: Second, value: [us-east-1]}
- {key: P, type: SSM, path: /p}
""",
}
PLAN = json.dumps(
    {
        "format_version": "1.2",
        "resource_changes": [
            {
                "address": 'module.a["x"].aws_kms_key.b',
                "type": "aws_kms_key",
                "change": {
                    "actions": ["delete", "create"],
                    "before": {"policy": '{"a": [1, "111122223333"]}', "tags": {"a": None}},
                    "after": {"policy": '{"a": [2]}', "list": [1, {"b": "eu-west-1"}]},
                    "after_unknown": {"id": True, "list": [False, {"c": True}]},
                    "before_sensitive": False,
                    "after_sensitive": {"list": True},
                    "replace_paths": [["policy"], ["list", 0]],
                },
                "action_reason": "replace_because_tainted",
            }
        ],
        "output_changes": {"o": {"actions": ["update"]}},
    }
).encode()
MESSAGES = b"""{"@message":"x","@timestamp":"t","type":"diagnostic","diagnostic":{"severity":"error","summary":"s","detail":"{\\"errorMessage\\": \\"e\\"}","address":"a.b","range":{"filename":"f","start":{"line":1}}}}
{"@message":"x","type":"change_summary","changes":{"add":1,"operation":"plan"}}
{"@message":"x","type":"outputs","outputs":{"a":{"value":1}}}
"""
VERIFIED = json.dumps(
    {
        "run_id": "20261126T030000Z-a1b2",
        "started_at": "2026-11-26T03:00:00Z",
        "finished_at": "2026-11-26T03:01:00+00:00",
        "exit_code": 2,
        "organization_id": "o-exampleorgid",
        "caller": "arn:aws:sts::111122223333:assumed-role/Audit/session",
        "configuration_sha256": "0" * 64,
        "selection": ["--region eu-west-1"],
        "versions": {"python": "3.11.7"},
        "totals": {"ok": 1, "finding": 1},
        "severities": {"high": 1},
        "checks": [
            {"id": "preferences", "severity": "high", "what": "the document", "why": "sessions", "controls": ["SSM.7"]}
        ],
        "targets": [
            {
                "account_id": "111122223333",
                "account_name": "Payments",
                "ou": "Work/Prod",
                "region": "eu-west-1",
                "home_region": "eu-west-1",
                "wave": "all",
                "failure": None,
                "checks": [
                    {
                        "name": "preferences",
                        "verdict": "finding",
                        "severity": "high",
                        "message": "It differs.",
                        "fix": "Apply.",
                        "command": "apply",
                        "evidence": ["ssm:GetDocument"],
                        "first_seen": "2026-11-25T03:00:00Z",
                    }
                ],
            },
            {
                "account_id": "222233334444",
                "account_name": "=1+1",
                "region": "us-east-1",
                "home_region": "eu-west-1",
                "failure": "access denied",
                "checks": [],
            },
        ],
        "trend": [
            {"run_id": "r", "at": "2026-11-25T03:00:00Z", "targets": 1, "findings": {"high": 1}, "not_checked": 0}
        ],
        "fixed": [
            {
                "account_id": "111122223333",
                "region": "eu-west-1",
                "check": "logs",
                "first_seen": "2026-11-25T03:00:00Z",
            }
        ],
    }
).encode()
LOCK = b'{"ID":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","Who":"a@b","Operation":"OperationTypePlan","Created":"2026-11-26T03:00:00.123456789Z"}'
TFVARS = b"# Rendered from organization.yaml\naccount_id = 1\n"

# What changes the meaning of a file where it is inserted.
TOKENS = [
    *(
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b"(",
        b":",
        b": ",
        b",",
        b"\n",
        b"\r\n",
        b"\\",
        b"/",
        b"../",
        b"*",
        b"**/",
        b"?",
    ),
    *(
        b"&a ",
        b"*d",
        b"<<: ",
        b"!include x",
        b"!!binary ",
        b"!!timestamp ",
        b"!!bool ",
        b"!!int ",
        b"- ",
        b"#",
        b"|",
        b">",
        b"%",
        b"\t",
        b"\0",
        b"\x1b",
        b"\xff",
    ),
    *(
        b"null",
        b"true",
        b"0",
        b"-1",
        b"1e999",
        b".inf",
        b"NaN",
        b"0x",
        b"1:59:59",
        b"9" * 30,
        b"2026-02-30",
        b"\\ud800",
        b"\\U00110000",
    ),
    *(b"{{", b"}}", b"{{ x }}", "\u202e".encode(), "é".encode(), b"\xef\xbb\xbf", b"[" * 300, b'{"a":' * 300),
    # More than Python's parser of JSON, and its own calls, go down.
    *(b"[" * 200_000, b'{"a":' * 20_000, b"9" * 6_000),
]


@strategies.composite
def changed(draw: strategies.DrawFn, original: bytes) -> bytes:
    """Change a file in one to four places: insert, remove, replace or repeat."""
    content = original
    for _ in range(draw(strategies.integers(1, 4))):
        start = draw(strategies.integers(0, len(content)))
        removed = draw(strategies.sampled_from([0, 0, 1, 2, 5, 20, 100]))
        repeated = content[start : start + draw(strategies.integers(0, 60))]
        inserted = draw(strategies.sampled_from([repeated, *TOKENS]) | strategies.binary(max_size=4))
        content = content[:start] + inserted + content[start + removed :]
    return content


def fuzz(original: bytes, read: Callable[[bytes], object]) -> None:
    """Read changed files until the budget is spent; only expected errors may be raised."""
    read(original)
    begun = time.monotonic()
    for number in itertools.count(time.time_ns() if SECONDS else 0):

        @seed(number)
        @settings(
            max_examples=500 if SECONDS else EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(changed(original))
        def reads(content: bytes) -> None:
            with suppress(FleetError):
                read(content)

        reads()
        if time.monotonic() - begun >= SECONDS:
            return


def at(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Write the content to a file, then read that."""

    def written(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return written


def inventory(config: Path) -> None:
    found = Inventory.load(config)
    found.check_settings(found.select(EVERYTHING))
    found.settings.warnings(found.organization, found.home_region, found.regions)


def test_organization_yaml(tmp_path: Path) -> None:
    (tmp_path / "accounts.yaml").write_bytes(ACCOUNTS)
    fuzz(CONFIG, at(tmp_path / "organization.yaml", inventory))


@pytest.mark.parametrize(("name", "content"), [("accounts.yaml", ACCOUNTS), ("accounts.csv", CSV)])
def test_accounts(tmp_path: Path, name: str, content: bytes) -> None:
    fuzz(content, at(tmp_path / name, from_file))


def test_saved_discoveries(tmp_path: Path) -> None:
    content = (FLEET / "accounts" / "golden" / "organization.json").read_bytes()
    fuzz(content, at(tmp_path / "organization.json", from_saved))


@pytest.mark.parametrize("name", LZA)
def test_landing_zones(tmp_path: Path, name: str) -> None:
    for other, content in LZA.items():
        (tmp_path / other).write_bytes(content)
    fuzz(LZA[name], at(tmp_path / name, lambda path: (from_lza(path.parent), deployment_role(path.parent))))


def test_journals(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    names = itertools.cycle(REPORTS)

    def read(path: Path) -> None:
        summary = run.summarize(run.read())
        REPORTS[next(names)](summary)
        read_parts([path.parent])

    fuzz((RUNS / "20261124T090005Z-c3d4" / JOURNAL).read_bytes(), at(tmp_path / JOURNAL, read))


def test_summaries(tmp_path: Path) -> None:
    names = itertools.cycle(REPORTS)
    content = (RUNS / "20261124T090000Z-a1b2" / "summary.json").read_bytes()
    fuzz(content, at(tmp_path / "summary.json", lambda path: REPORTS[next(names)](Summary.read(path))))


def test_results_of_verify(tmp_path: Path) -> None:
    names = itertools.cycle(VERIFICATION_REPORTS)

    def read(path: Path) -> None:
        found = read_verification(path.parent)
        assert found is not None
        compared = earlier_runs(path.parents[1], found.organization_id).compare(found)
        _ = compared.code
        VERIFICATION_REPORTS[next(names)](compared)

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "history.json").write_text(History.of(Verification.model_validate_json(VERIFIED)).model_dump_json())
    fuzz(VERIFIED, at(folder / VERIFICATION, read))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["exit_code"], 7),
        (["checks"], []),
        (["targets", 0, "checks", 0, "name"], "other"),
        (["targets", 0, "checks", 0, "severity"], None),
    ],
    ids=["exit code", "no checks", "another check", "no severity"],
)
def test_results_that_no_verification_writes_are_damaged(tmp_path: Path, path: list[Any], value: object) -> None:
    content = place = json.loads(VERIFIED)
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    (tmp_path / VERIFICATION).write_text(json.dumps(content))

    with pytest.raises(FleetError, match="The result is damaged"):
        read_verification(tmp_path)


def test_manifests_of_saved_plans(tmp_path: Path) -> None:
    """An attacker who changes one may have changed its digest in the journal, too."""
    saved = RUNS / "saved_plan"
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    origin = Origin("1", "r", "w", "b", Toolchain("1", "2", "3", "4"))

    def read(path: Path) -> None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        check(tmp_path, PlanConstraints(digest, origin, ("",), NOW, datetime.timedelta(days=1), allow_destroy=False))

    def refused(path: Path) -> None:
        with pytest.raises(FleetError):
            read(path)

    fuzz((saved / MANIFEST).read_bytes(), at(tmp_path / MANIFEST, refused))


def test_plans() -> None:
    def read(content: bytes) -> None:
        try:
            plan = json.loads(content)
        except (ValueError, RecursionError):
            return
        if isinstance(plan, Mapping):
            protected_destructions(change_set_of(plan, TARGET))

    fuzz(PLAN, read)


def test_messages_of_terraform() -> None:
    def read(content: bytes) -> None:
        messages = Messages(lambda text: text)
        for line in content.decode("utf-8", "replace").splitlines():
            messages.take(line)

    fuzz(MESSAGES, read)


def test_lock_objects() -> None:
    fuzz(
        LOCK,
        lambda content: (parse_lock(TARGET, content, NOW).is_terraforms, parse_lock(TARGET, content, NOW).age(NOW)),
    )


def test_run_locks(tmp_path: Path) -> None:
    lock = RunLock.take(tmp_path, "other", [TARGET.key])
    content = lock.path.read_bytes().replace(TARGET.key.encode(), b"222233334444/eu-west-1")
    fuzz(content, at(lock.path, lambda _: RunLock.take(tmp_path, "this", [TARGET.key]).release()))
    lock.release()


def test_states() -> None:
    """Who may write to the state bucket chooses their content."""
    content = (
        b'{"version": 4, "serial": 1, "resources": [{"module": "module.log_archive[0]", "mode": "managed", '
        b'"type": "aws_kms_alias", "name": "bucket", "instances": []}]}'
    )
    fuzz(content, lambda changed: (count_resources(changed), held(changed, "s3://bucket/key")))


def test_variables_of_a_saved_plan() -> None:
    content = (RUNS / "saved_plan" / "terraform.tfvars").read_bytes()
    text = b'a = "${x}"\nb = <<-E\n  c\n E\nd = { "e f" = [1, null, true, { g = -1.5 }] }\n'

    def read(changed: bytes) -> object:
        return managed_settings(values_of(changed.decode("utf-8", "replace")))

    for each in (content, text):
        fuzz(each, read)


def test_configurations_of_saved_plans(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "main.tf").write_text("# root\n")
    save_plan(tmp_path / "tfplan", root, {"tfplan": "changes"})
    same = (tmp_path / "tfplan").read_bytes()
    fuzz(same, at(tmp_path / "tfplan", lambda path: other_configuration(path, RootModule(root))))


def test_rendered_files(tmp_path: Path) -> None:
    (tmp_path / "accounts.yaml").write_bytes(ACCOUNTS)
    (tmp_path / "organization.yaml").write_bytes(CONFIG)
    found = Inventory.load(tmp_path / "organization.yaml")
    renderer, roles = renderer_of(found.settings), found.settings.organization
    targets = found.select(EVERYTHING).targets[:1]

    def settings_of(target: Target) -> Any:  # noqa: ANN401 - as render takes it
        return found.settings.effective(target.account, target.region)

    def read(path: Path) -> None:
        folder = path.parents[1]
        for file in render(renderer, settings_of, roles.roles, targets, folder, find_stale=True):
            file.diff()

    path = tmp_path / "rendered" / f"{targets[0].key}.tfvars"
    path.parent.mkdir(parents=True)
    fuzz(TFVARS, at(path, read))
