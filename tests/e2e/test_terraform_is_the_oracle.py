"""Terraform is the oracle: what a plan would notice makes `--skip-clean` plan, also where no check of `verify` sees it.

Every attribute in the state of rolled-out targets is changed outside of Terraform; real plans say which they notice.
Each has to be found by a check, or stand in the list of what no check sees; and each has to be found by the
comparison with the last clean run, which decides with the checks.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from aws_sandbox import Sandbox, SandboxAccount, SandboxOrganization
from session_manager_fleet.cli.app import run
from session_manager_fleet.cli.options import Source, load_inventory
from session_manager_fleet.run.clean.live_state import digests_of
from session_manager_fleet.run.clean.reads import known_types, reads_of
from session_manager_fleet.run.refusals import Place
from session_manager_fleet.targets import Target
from session_manager_fleet.targets.model import EVERYTHING
from session_manager_fleet.terraform import ManagedResource, StateBackend, StoredState, read_state
from session_manager_fleet.verify import UNSEEN, Verdict, Verifier
from session_manager_fleet.verify.reading import iam_action
from tests.e2e.tamperings import OTHER_ROLE, Account, Tampering

# 9.5 minutes on two cores that others use, too.
pytestmark = [pytest.mark.terraform, pytest.mark.slow, pytest.mark.timeout(1800)]

PROJECT = Path(__file__).resolve().parents[2]
HOME: Literal["eu-west-1"] = "eu-west-1"
MANAGEMENT, MEMBER, OTHER = "518407395516", "840281937465", "840281937466"
ORGANIZATION = SandboxOrganization(
    id="o-oracle1234567",
    management_account_id=MANAGEMENT,
    accounts=(
        SandboxAccount(MANAGEMENT, "Management", "management@example.com", ""),
        SandboxAccount(MEMBER, "Member", "member@example.com", "Workloads"),
        # The last ones hold what others have left behind.
        SandboxAccount(OTHER, "Second", "second@example.com", "Workloads"),
        SandboxAccount("840281937467", "Third", "third@example.com", "Workloads"),
        SandboxAccount("840281937468", "Fourth", "fourth@example.com", "Workloads"),
    ),
    organizational_units=(),
    home_region=HOME,
    regions=(HOME,),
)
# One account has everything, but the guardrails, which only the management account can have.
SETTINGS = f"""\
schema_version: 1
organization:
  id: {ORGANIZATION.id}
  home_region: {HOME}
  regions: [{HOME}]
  deployment_role: {{name: {ORGANIZATION.deployment_role}}}
  log_archive_account: Member
log_archive:
  object_lock: {{mode: GOVERNANCE, days: 30}}
  access_logging: {{bucket_name: access-logs-oracle}}
guardrails: {{attach_to: ["{OTHER}"]}}
defaults:
  tags: {{owner: platform}}
  instance_policy: {{attach_to_roles: [app-server]}}
overrides:
  - match: {{accounts: [Management]}}
    set: {{preferences: {{enabled: false}}, config_rule: {{enabled: false}}, instance_policy: {{enabled: false}}}}
  - match: {{accounts: [Member]}}
    set:
      preferences:
        block_public_sharing: true
        drift_repair: {{notify_topic_arn: "arn:aws:sns:{HOME}:{MEMBER}:oracle"}}
        cloudwatch:
          data_protection: {{}}
          subscription: {{destination_arn: "arn:aws:kinesis:{HOME}:{MEMBER}:stream/oracle"}}
"""
SELECTION = ("--account", "Member", "--account", "Management")
# Attributes that no call changes without making another resource, that follow from others, or are only Terraform's.
NAMES = """alarm_name arn bucket config_rule_name event_bus_name function_name id key_id log_group_name name path
    policy_arn policy_id role rule setting_id statement_id target_id url"""
FIXED = """architectures content_based_deduplication customer_master_key_spec data_type document_format document_type
    fifo_queue key_usage log_group_class multi_region object_lock_enabled package_type resource_type target_type type"""
FOLLOWING = """attachment_count aws_iam_policy.description aws_s3_bucket.policy aws_ssm_document.description
    aws_ssm_document.parameter bucket_domain_name bucket_regional_domain_name create_date created_date
    default_version document_version grant hash hash_type hosted_zone_id inline_policy invoke_arn is_enabled
    last_modified latest_version lifecycle_rule logging object_lock_configuration owner owner_id platform_types
    qualified_arn qualified_invoke_arn region request_payer rotation_period_in_days rule_id schema_version
    server_side_encryption_configuration source_code_hash source_code_size sqs_managed_sse_enabled status tags
    target_key_arn transition_default_minimum_object_size unique_id version versioning"""
TERRAFORMS = """bypass_policy_lockout_safety_check deletion_window_in_days filename force_destroy force_detach_policies
    input lifecycle_scope publish qualifier result skip_destroy terraform_key"""
NOT_TAMPERED = {*NAMES.split(), *FIXED.split(), *FOLLOWING.split(), *TERRAFORMS.split()}
# Calls of a plan that are not about a resource, or whose answer follows from another one.
OTHER_CALLS = {
    *("sts:GetCallerIdentity", "sts:AssumeRole"),
    # A version never changes, and GetPolicy names it.
    "iam:GetPolicyVersion",
    # It asks for the same parameter as GetParameters.
    "ssm:GetParameter",
}


# A resource and its attributes in the note of a plan about what it leaves.
_LEFT = re.compile(r"(module\.\S+) \(([^)]+)\)")


@dataclass
class Rolled:
    """A rolled-out target."""

    target: Target
    account: Account
    state: StoredState
    place: Place
    tamperings: list[Tampering] = field(default_factory=list)

    def digests(self, *resources: ManagedResource) -> Mapping[str, str]:
        """What the comparison with the last clean run reads now of resources, by default of all."""
        return digests_of(self.place, replace(self.state, resources=resources or self.state.resources))


class World:
    """The rolled-out organization."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        self.failed: list[str] = []
        self.config = folder / "organization.yaml"
        self.config.write_text(SETTINGS, encoding="utf-8")

    def call(self, *words: str) -> dict[str, Any]:
        """Run a command on both targets, and return the summary of its run."""
        run(["-c", str(self.config), *words, *SELECTION])
        latest = sorted((self.folder / "runs").iterdir())[-1]
        summary: dict[str, Any] = json.loads((latest / "summary.json").read_text())
        return summary

    def load(self) -> None:
        """Read the states, and list the tamperings."""
        self.inventory = load_inventory(Source(self.config))
        self.verifier = Verifier(self.inventory)
        backend = StateBackend.find(self.inventory.settings.organization, HOME)
        package = (PROJECT / "modules" / "preferences" / "lambda.zip").read_bytes()
        self.rolled = []
        for target in self.inventory.select(EVERYTHING).targets:
            state = read_state(backend, target)
            if state:
                session = self.sandbox.session(target.account.id, HOME)
                account = Account(session, package)
                found = [each for one in state.resources for each in account.tamperings(one)]
                place = Place(target.account.id, HOME, lambda session=session: session)  # type: ignore[misc]
                self.rolled.append(Rolled(target, account, state, place, found))

    def findings(self, rolled: Rolled) -> set[tuple[str, str]]:
        """What `verify` finds now: checks and messages."""
        found = self.verifier.verify([rolled.target], lambda _: None, stop=threading.Event())
        bad = {Verdict.FINDING, Verdict.NOT_CHECKED}
        return {(check.name, check.message) for one in found for check in one.checks if check.verdict in bad}

    def noticed(self) -> dict[str, set[str]]:
        """The attributes that real plans notice now, by target and address: changes, and drift that is left."""
        summary = self.call("plan")
        found: dict[str, set[str]] = {}
        for entry in summary["targets"]:
            folder = self.folder / "runs" / summary["run_id"] / entry["account_id"] / entry["region"]
            if not (folder / "plan.json").exists():
                if entry["status"] != "no_changes":
                    self.failed.append(str(entry["failure"]))
                    continue
                for address, names in _LEFT.findall(" ".join(entry["notes"])):
                    found.setdefault(f"{entry['account_id']} {address}", set()).update(names.split(", "))
                continue
            # Also of a plan that is refused, as a disabled key is.
            shown = json.loads((folder / "plan.json").read_text())
            for change in [*shown["resource_changes"], *shown.get("resource_drift", [])]:
                if change["mode"] == "managed" and change["change"]["actions"] != ["no-op"]:
                    key = f"{entry['account_id']} {change['address']}"
                    found.setdefault(key, set()).update(_differing(change["change"]))
        return found


def _differing(change: Mapping[str, Any]) -> Iterator[str]:
    before, after = change.get("before") or {}, change.get("after") or {}
    unknown = change.get("after_unknown") or {}
    if not before or not after:
        yield "(the whole resource)"
    for name in {*before, *after}:
        same = _without_nothing(before.get(name)) == _without_nothing(after.get(name))
        if not same and not (isinstance(unknown, dict) and unknown.get(name)):
            yield name


def _without_nothing(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """What is left of a value without what is empty: a refresh reads as empty what the state lacks after an apply."""
    if isinstance(value, dict):
        return {key: left for key, item in value.items() if (left := _without_nothing(item)) is not None} or None
    if isinstance(value, list):
        return [left for item in value if (left := _without_nothing(item)) is not None] or None
    return None if value == "" else value


@contextmanager
def tampered(one: Tampering) -> Iterator[bool]:
    """Change an attribute for the duration of a block; yields whether AWS lets it be changed so."""
    try:
        one.do()
    except (ClientError, ParamValidationError):
        yield False
        return
    try:
        yield True
    finally:
        one.undo()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An organization with two targets that have everything between them, rolled out."""
    with rolled_out(tmp_path_factory.mktemp("oracle")) as made:
        yield made


@contextmanager
def rolled_out(folder: Path) -> Iterator[World]:
    """Roll it out."""
    with Sandbox.start(ORGANIZATION, folder / "sandbox") as sandbox, pytest.MonkeyPatch.context() as environment:
        for name, value in sandbox.environment().items():
            environment.setenv(name, value)
        environment.chdir(folder)
        session = sandbox.session(MEMBER, HOME)
        s3 = session.client("s3")
        s3.create_bucket(Bucket="access-logs-oracle", CreateBucketConfiguration={"LocationConstraint": HOME})
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::access-logs-oracle/*",
        }
        s3.put_bucket_policy(
            Bucket="access-logs-oracle", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        )
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        session.client("iam").create_role(
            RoleName=OTHER_ROLE,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
        )
        for name in ("oracle", "oracle-other"):
            session.client("kinesis").create_stream(StreamName=name, ShardCount=1)
            session.client("sns").create_topic(Name=name)
        made = World(sandbox, folder)
        applied = made.call("apply", "--yes")
        assert [entry["status"] for entry in applied["targets"]] == ["applied"] * 2
        made.load()
        yield made


def undo(done: Sequence[Tampering]) -> None:
    """Undo tamperings; what AWS refuses while another one lasts, such as that of a role, once more in the end."""
    refused = []
    for one in reversed(done):
        try:
            one.undo()
        except ClientError:
            refused.append(one)
    for one in refused:
        one.undo()


def batches(world: World) -> Iterator[list[Tampering]]:
    """Yield tamperings that can be done at once: each of another attribute, and no resource twice where it is gone."""
    left = [one for rolled in world.rolled for one in rolled.tamperings]
    while left:
        taken: dict[str, set[str]] = {}
        batch, rest = [], []
        for one in left:
            names = taken.setdefault(one.resource.address, set())
            whole = one.what.startswith("the whole")
            alone = "(whole)" in names or (whole and names)
            if one.attribute in names or alone:
                rest.append(one)
                continue
            names.update({one.attribute, "(whole)"} if whole else {one.attribute})
            batch.append(one)
        yield batch
        left = rest


def test_what_plans_call_is_what_the_comparison_reads(world: World) -> None:
    """The provider decides from the answers to its calls: the comparison makes them all."""
    log = world.folder / "sandbox" / "server.log"
    before = len(log.read_text().splitlines())
    summary = world.call("plan")
    assert [entry["status"] for entry in summary["targets"]] == ["no_changes"] * 2
    lines = log.read_text().splitlines()[before:]
    provider = {iam_action(f"{call[1]}:{call[2]}") for line in lines if (call := re.search(r" (\w+):(\w+) \d+ ", line))}
    reads = {
        iam_action(f"{read.service}:{''.join(part.title() for part in read.method.split('_'))}")
        for rolled in world.rolled
        for one in rolled.state.resources
        for read in reads_of(one.type, one.attributes) or ()
    }
    of_states = {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:HeadObject"}
    of_the_rollout = {action for action in provider if action.startswith("organizations:List")}
    of_the_rollout |= {"organizations:DescribeOrganization", "config:DescribeConfigurationRecorders"}
    missing = {each.lower() for each in provider - of_states - of_the_rollout - OTHER_CALLS} - {
        each.lower() for each in reads
    }
    assert missing == set()


def test_every_attribute_of_the_states_is_tampered_with(world: World) -> None:
    for rolled in world.rolled:
        done = {(one.resource.type, one.attribute) for one in rolled.tamperings}
        missing = {
            f"{one.type}.{name}"
            for one in rolled.state.resources
            for name, value in one.attributes.items()
            if value not in (None, "", [], {})
            and (one.type, name) not in done
            and not {name, f"{one.type}.{name}"} & NOT_TAMPERED
        }
        assert missing == set(), "tamper with it in tamperings.py"
        assert {one.type for one in rolled.state.resources} <= known_types()


def test_terraform_is_the_oracle(world: World) -> None:
    assert sum(len(rolled.tamperings) for rolled in world.rolled) >= 150
    noticed: list[Tampering] = []
    not_compared: list[str] = []
    for batch in batches(world):
        done: list[Tampering] = []
        before = {id(rolled): rolled.digests() for rolled in world.rolled}
        for one in batch:
            try:
                one.do()
            except (ClientError, ParamValidationError):
                continue  # AWS would refuse it, too
            done.append(one)
        try:
            seen = world.noticed()
            after = {id(rolled): rolled.digests() for rolled in world.rolled}
        finally:
            undo(done)
        for one, rolled in ((one, each) for one in done for each in world.rolled if one in each.tamperings):
            names = seen.get(f"{rolled.target.account.id} {one.resource.address}", set())
            if names & {one.attribute, "(the whole resource)"} or (names and one.what.startswith("the whole")):
                noticed.append(one)
                address = one.resource.address
                if before[id(rolled)][address] == after[id(rolled)].get(address):
                    not_compared.append(str(one))
    assert (world.failed, not_compared) == ([], [])
    assert len(noticed) >= 150
    _judge(world, noticed)


def _judge(world: World, noticed: Sequence[Tampering]) -> None:
    """Every tampering that a plan notices is found by a check, or listed, and is found by the comparison alone, too."""
    unseen: set[str] = set()
    not_compared: list[str] = []
    for rolled in world.rolled:
        clean = world.findings(rolled)
        for one in (each for each in noticed if each in rolled.tamperings):
            known = rolled.digests(one.resource)
            with tampered(one) as changed:
                assert changed, one
                if rolled.digests(one.resource) == known:
                    not_compared.append(str(one))
                if not world.findings(rolled) - clean:
                    unseen.add(one.part)
    assert not_compared == []
    listed = {f"{kind}.{name}" for kind, names in UNSEEN.items() for name in names}
    assert unseen - listed == set(), "no check sees it: list it in verify/unseen.py"
    assert listed - unseen == set(), "a check sees it now: take it out of verify/unseen.py"
