"""Check what the rollout needs in accounts before anything is applied there."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from session_manager_fleet.accounts import Account
from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import AccessError
from session_manager_fleet.run import Place, find_beforehand, ways_out_of
from session_manager_fleet.targets import Inventory, Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.guardrails import enable_command, is_enabled
from session_manager_fleet.verify.model import Check, Verdict, finding, ok
from session_manager_fleet.verify.nodes import NEEDS, nodes
from session_manager_fleet.verify.reading import Reader
from session_manager_fleet.verify.recorder import check_recorder

# What `doctor` reads, beside the recorder.
PREREQUISITES = (
    permissions.WITHOUT_RESOURCES.allow(
        "cloudtrail:DescribeTrails",
        "cloudtrail:GetEventSelectors",
        "cloudtrail:GetTrailStatus",
        "config:DescribeConfigurationRecorderStatus",
        "config:DescribeConfigurationRecorders",
        "config:ListDiscoveredResources",
        "ec2:DescribeRegions",
    ),
    permissions.GUARDRAILS.allow("organizations:ListRoots"),
    *permissions.LOCKOUT_READ,
)
# Threads mostly wait for AWS, so there may be many more than processors.
_WORKERS = 16
_SOURCE = "ssm.amazonaws.com"
_READ_POLICY = "what docs/read-policy.json allows"
_HAVE_CHECKS = ("AWS Config has no recorder", "Service control policies are not enabled")


@dataclass(frozen=True)
class AccountCheck:
    """A check of what the rollout needs in an account.

    Attributes:
        account: The account.
        region: Region that the check is about; empty for the whole account.
        check: `role`, `region`, `recorder`, `trail`, `nodes`, `policy_type`, `existing` or `first_plan`, with its
            verdict.
    """

    account: Account
    region: str
    check: Check


def check_accounts(
    inventory: Inventory, targets: Sequence[Target], stop: threading.Event, stored: frozenset[str] | None
) -> list[AccountCheck]:
    """Check the accounts of targets in parallel, and return the checks in the order of the account ids.

    Args:
        inventory: The organization and its settings.
        targets: In any order.
        stop: Once set, no further account is checked.
        stored: Keys of targets with a state, whose plans know what is theirs; None if the states cannot be read: what
            exists may then be their own.
    """
    ordered = sorted(targets, key=lambda target: (target.account.id, not target.is_home, target.region))
    accounts = [list(group) for _, group in groupby(ordered, key=lambda target: target.account)]

    def work(of_account: list[Target]) -> list[AccountCheck]:
        return [] if stop.is_set() else list(_account(inventory, of_account, stored))

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="doctor") as pool:
        return [check for checks in pool.map(work, accounts) for check in checks]


def _account(inventory: Inventory, targets: Sequence[Target], stored: frozenset[str] | None) -> Iterator[AccountCheck]:
    account, home = targets[0].account, targets[0].home_region
    try:
        reader = Reader(inventory.session(account, home))
    except AccessError as error:
        name = inventory.settings.organization.roles.reader.name
        fix = f"Create the role {name} there, let it trust your credentials, or exclude the account."
        yield AccountCheck(account, "", finding("role", _without_account(str(error), account), fix))
        return
    yield AccountCheck(account, "", ok("role", "The account can be entered."))
    enabled = _region_states(reader, home)
    for target in targets:
        region = target.region
        check = enabled if isinstance(enabled, Check) else judge_region(region, enabled.get(region, ""))
        yield AccountCheck(account, region, check)
        if check.verdict is not Verdict.FINDING:
            yield from (AccountCheck(account, region, one) for one in _target(inventory, target, reader))
            if stored is not None and target.key not in stored:
                yield from (AccountCheck(account, region, one) for one in _first_plan(inventory, target))


def _target(inventory: Inventory, target: Target, reader: Reader) -> Iterator[Check]:
    region, values = target.region, inventory.settings.effective(target.account, target.region).values
    if target.is_home and values.config_rule.enabled:
        needs = (
            "config:DescribeConfigurationRecorders, config:DescribeConfigurationRecorderStatus, "
            "config:ListDiscoveredResources"
        )
        may_lack = values.config_rule.without_recorder == "skip"
        yield _checked("recorder", needs, lambda: check_recorder(reader, region, may_lack=may_lack))
    if values.preferences.enabled and values.preferences.drift_repair.enabled:
        needs = "cloudtrail:DescribeTrails, cloudtrail:GetTrailStatus, cloudtrail:GetEventSelectors"
        yield _checked("trail", needs, lambda: _trail(reader, region))
    if values.preferences.enabled:
        yield _checked("nodes", NEEDS, lambda: nodes(reader, target, values))
    if "guardrails" in inventory.settings.foundation.variables_of(target.account, region):
        yield _checked("policy_type", "organizations:ListRoots", lambda: _policy_type(reader, region))


def _first_plan(inventory: Inventory, target: Target) -> Iterator[Check]:
    """Check what the first plan of a target would be refused for."""
    settings = inventory.settings.effective(target.account, target.region)
    try:
        place = Place(target.account.id, target.region, lambda: inventory.session(target.account, target.region))
        found, refused, unchecked = find_beforehand(target, settings, place)
    except AccessError as error:
        text = _without_account(str(error), target.account)
        yield Check("first_plan", Verdict.NOT_CHECKED, text, f"Not checked: needs {_READ_POLICY}.")
        return
    for each in found:
        ways_out = ways_out_of(each)
        fix = f"{ways_out[:1].upper()}{ways_out[1:]}, import it with the commands that the plan prints, or delete it."
        yield finding("existing", _without_account(f"The {each} exists already.", target.account), fix)
    # These have checks of their own.
    others = [one.message for one in refused if not one.message.startswith(_HAVE_CHECKS)]
    for text in others:
        message, _, fix = _without_account(text, target.account).partition(". ")
        yield finding("first_plan", f"{message}.", fix)
    for text in unchecked:
        yield Check("first_plan", Verdict.NOT_CHECKED, text, f"Not checked: needs {_READ_POLICY}.")
    if not (found or others or unchecked):
        yield ok("first_plan", "Nothing that is known before a plan would refuse it.")


def _region_states(reader: Reader, home: str) -> Mapping[str, str] | Check:
    """Return the opt-in status of every region, or the check that could not run."""
    found: dict[str, str] = {}

    def read() -> Check:
        regions = reader.call("ec2", home, "describe_regions", AllRegions=True)["Regions"]
        found.update((region["RegionName"], region.get("OptInStatus", "")) for region in regions)
        return ok("region", "")

    check = _checked("region", "ec2:DescribeRegions", read)
    return check if check.verdict is Verdict.NOT_CHECKED else found


def judge_region(region: str, status: str) -> Check:
    """Judge the opt-in status of a region: `opt-in-not-required`, `opted-in`, `not-opted-in`, or empty if unknown."""
    if status == "not-opted-in":
        fix = (
            f"In the account, run `aws account enable-region --region-name {region}` and wait some minutes; or exclude "
            f"the region (--exclude ACCOUNT/{region}, or `regions` in an override)."
        )
        return finding("region", f"The region {region} is not enabled.", fix)
    if not status:
        return finding("region", f"AWS knows no region {region} in this account.", "Correct organization.regions.")
    return ok("region", f"The region {region} is enabled.")


def _trail(reader: Reader, region: str) -> Check:
    trails = reader.call("cloudtrail", region, "describe_trails", includeShadowTrails=True)["trailList"]
    refused: AccessError | None = None
    stopped: list[str] = []
    for trail in trails:
        name = trail.get("TrailARN") or trail["Name"]
        try:
            with translated_errors(f"read the trail {trail['Name']}"):
                if not reader.call("cloudtrail", region, "get_trail_status", Name=name)["IsLogging"]:
                    stopped.append(trail["Name"])
                elif logs_changes(reader.call("cloudtrail", region, "get_event_selectors", TrailName=name)):
                    return ok("trail", f"A trail logs management events in {region}.")
        except AccessError as error:
            refused = error
    if refused:
        raise refused
    fix = (
        "Create a trail for all regions that logs write management events (an organization trail serves all accounts), "
        "or start it with `aws cloudtrail start-logging`. Without it, drift is repaired only on schedule."
    )
    what = f"; these are stopped: {', '.join(stopped)}" if stopped else ""
    return finding("trail", f"No trail logs changes of SSM documents in {region}{what}.", fix)


def logs_changes(selectors: Mapping[str, Any]) -> bool:
    """Tell whether the event selectors of a trail include changes of SSM documents; without any, they do.

    See https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-management-events-with-cloudtrail.html.
    """
    basic, advanced = selectors.get("EventSelectors") or [], selectors.get("AdvancedEventSelectors") or []
    if not basic and not advanced:
        return True
    return any(
        one.get("IncludeManagementEvents", True) and one.get("ReadWriteType", "All") in {"All", "WriteOnly"}
        for one in basic
    ) or any(_selects_changes(one) for one in advanced)


def _selects_changes(selector: Mapping[str, Any]) -> bool:
    fields = {field["Field"]: field for field in selector.get("FieldSelectors", [])}
    if "Management" not in fields.get("eventCategory", {}).get("Equals", []):
        return False
    if fields.get("readOnly", {}).get("Equals") == ["true"]:
        return False
    sources = fields.get("eventSource", {})
    return _SOURCE not in sources.get("NotEquals", []) and _SOURCE in sources.get("Equals", [_SOURCE])


def _policy_type(reader: Reader, region: str) -> Check:
    root = next(reader.pages("organizations", region, "list_roots", "Roots"))
    if is_enabled(root):
        return ok("policy_type", "Service control policies are enabled.")
    return finding(
        "policy_type",
        "Service control policies are not enabled in the organization.",
        f"{enable_command(root)}, or remove guardrails from the settings.",
    )


def _checked(name: str, needs: str, check: Callable[[], Check]) -> Check:
    """Run a check; if AWS denies the calls, the result says which actions it needs."""
    try:
        with translated_errors(f"check the {name.replace('_', ' ')}"):
            return check()
    except AccessError as error:
        return Check(name, Verdict.NOT_CHECKED, str(error), f"Not checked: needs {needs}.")


def _without_account(text: str, account: Account) -> str:
    """Return a text that reads the same for every account, so that equal findings can be shown once."""
    return text.replace(account.id, "ACCOUNT")
