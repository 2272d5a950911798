"""Leave out opt-in regions that an account has not enabled: nothing can be planned, applied or verified there."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from session_manager_fleet.accounts import Account
from session_manager_fleet.aws import CLIENT_CONFIG, is_opt_in, translated_errors
from session_manager_fleet.errors import AccessError
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import SkippedAccount, TargetList

# Threads mostly wait for AWS, so there may be many more than processors.
_WORKERS = 16
_DISABLED = "not-opted-in"


def without_disabled_regions(inventory: Inventory, selected: TargetList) -> TargetList:
    """Skip the targets in opt-in regions that are not enabled in their account, with the reason.

    Each account that has targets in such regions is asked once, in the home region. Where AWS does not answer, the
    targets stay: a region that cannot be entered then fails by itself.
    """
    asked: dict[Account, list[str]] = {}
    for target in selected.targets:
        if is_opt_in(target.region):
            asked.setdefault(target.account, []).append(target.region)
    if not asked:
        return selected

    def ask(account: Account) -> Mapping[str, str]:
        return _statuses(inventory, account, asked[account])

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="regions") as pool:
        statuses = dict(zip(asked, pool.map(ask, asked), strict=True))
    disabled = [
        target for target in selected.targets if statuses.get(target.account, {}).get(target.region) == _DISABLED
    ]
    skipped = (
        SkippedAccount(target.account.id, target.account.name, f"{target.region} is not enabled in the account")
        for target in disabled
    )
    kept = tuple(target for target in selected.targets if target not in disabled)
    return replace(selected, targets=kept, skipped=(*selected.skipped, *skipped))


def _statuses(inventory: Inventory, account: Account, regions: Sequence[str]) -> Mapping[str, str]:
    """Return the opt-in status of regions in an account; empty where AWS does not tell."""
    home = inventory.home_region
    try:
        with translated_errors(f"ask which regions are enabled in account {account.id}"):
            client = inventory.session(account, home).client("ec2", region_name=home, config=CLIENT_CONFIG)
            found = client.describe_regions(RegionNames=list(regions), AllRegions=True)["Regions"]
    except AccessError:
        return {}
    return {region["RegionName"]: region["OptInStatus"] for region in found}
