"""Regions that have to be enabled in an account, and STS endpoints that an account has deactivated.

moto answers in every region. Here the opt-in regions of the organization are enabled in all its accounts but those that
say otherwise; all other opt-in regions are enabled nowhere, as in a new account. See
https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

from aws_sandbox.call import AwsError, Call
from aws_sandbox.model import SandboxOrganization
from aws_sandbox.pages import page

# moto's own list takes three of them for regions that every account has.
_OPT_IN = {
    region.name for region in RegionsAndZonesBackend.regions if region.opt_in_status != "opt-in-not-required"
} | {"af-south-1", "ap-southeast-3", "eu-south-1"}
# With an endpoint of one's own, SDKs sign also calls of global services for the client's region.
_GLOBAL = {"account", "iam", "organizations"}
# https://docs.aws.amazon.com/accounts/latest/reference/API_ListRegions.html: at most 50 per page.
_PAGE_SIZE = 50


class Regions:
    """The opt-in status of regions in accounts."""

    def __init__(self, organization: SandboxOrganization) -> None:
        self._management_account_id = organization.management_account_id
        self._regions = frozenset(organization.regions)
        self._disabled = {account.id: frozenset(account.disabled_regions) for account in organization.accounts}
        self._sts_inactive = {account.id: frozenset(account.sts_inactive_regions) for account in organization.accounts}

    def is_enabled(self, account_id: str, region: str) -> bool:
        """Return whether a region is enabled in an account."""
        if region not in _OPT_IN:
            return True
        return region in self._regions and account_id in self._disabled and region not in self._disabled[account_id]

    def check(self, call: Call) -> None:
        """Reject calls in a region that the caller's account has not enabled, as if the credentials were unknown.

        Raises:
            AwsError: The service's error for unknown credentials; RegionDisabledException for AssumeRole where the
                account of the role has deactivated STS.
        """
        if call.service not in _GLOBAL and not self.is_enabled(call.account_id, call.region):
            raise call.unknown_credentials()
        if call.action == "sts:AssumeRole":
            account_id = str(call.parameters.get("RoleArn", "")).split(":")[4:5]
            if call.region in self._sts_inactive.get("".join(account_id), ()):
                message = f"STS is not activated in this region for account:{account_id[0]}. Your account administrator"
                raise AwsError("RegionDisabledException", f"{message} can activate STS in this region.")

    def describe_regions(self, call: Call) -> dict[str, Any]:
        """Answer ec2:DescribeRegions for the caller's account; moto knows one status for all."""
        named = call.parameters.get("RegionNames") or []
        regions = [self._described(call.account_id, region.name) for region in RegionsAndZonesBackend.regions]
        wanted = call.parameters.get("AllRegions") or named
        return {
            "Regions": [
                region
                for region in regions
                if (not named or region["RegionName"] in named) and (wanted or region["OptInStatus"] != "not-opted-in")
            ]
        }

    def _described(self, account_id: str, region: str) -> dict[str, str]:
        enabled = "opted-in" if self.is_enabled(account_id, region) else "not-opted-in"
        status = enabled if region in _OPT_IN else "opt-in-not-required"
        return {"RegionName": region, "Endpoint": f"ec2.{region}.amazonaws.com", "OptInStatus": status}

    def list_regions(self, call: Call) -> dict[str, Any]:
        """Answer account:ListRegions for the caller's account; the management account may ask for members."""
        asked = call.parameters.get("AccountId") or call.account_id
        if call.account_id not in {asked, self._management_account_id}:
            raise AwsError("AccessDeniedException", "User is not authorized to access the account of another member.")
        regions = [
            {"RegionName": region.name, "RegionOptStatus": self._status(asked, region.name)}
            for region in RegionsAndZonesBackend.regions
        ]
        wanted = call.parameters.get("RegionOptStatusContains")
        found = [region for region in regions if not wanted or region["RegionOptStatus"] in wanted]
        size = int(call.parameters.get("MaxResults") or _PAGE_SIZE)
        return page("Regions", found, call.parameters.get("NextToken"), size)

    def _status(self, account_id: str, region: str) -> str:
        if region not in _OPT_IN:
            return "ENABLED_BY_DEFAULT"
        return "ENABLED" if self.is_enabled(account_id, region) else "DISABLED"
