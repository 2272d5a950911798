"""Check that a target was rolled out to, and that no nodes wait in regions of the account that were not."""

from collections.abc import Collection, Iterator, Sequence

from botocore.exceptions import ClientError

from session_manager_fleet.aws import SCP_DENIES
from session_manager_fleet.preferences import STORED_PARAMETER
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, ok
from session_manager_fleet.verify.reading import Reader


class Rollout(TargetCheck):
    """Check that anything was applied to a target."""

    info = CheckInfo(
        id="rollout",
        severity=Severity.HIGH,
        what="the target was rolled out to: at least one of function, document and stored settings is there",
        why="Sessions in a target without rollout are neither logged nor encrypted with a key.",
        fix="Plan and apply the target.",
        evidence="function, document and the parameter with the stored settings",
        where="every target",
        permissions=(
            permissions.FUNCTION.allow("lambda:GetFunction"),
            permissions.DOCUMENTS.allow("ssm:DescribeDocument"),
            permissions.STORED_SETTINGS.allow("ssm:GetParameters"),
        ),
        controls=("NIST 800-53 CM-2", "NIST 800-53 AU-12"),
    )

    def run(self, place: Place) -> Check:
        """Look for any of what an apply leaves."""
        reader, region, names = place.reader, place.region, place.values.names
        if reader.call("ssm", region, "get_parameters", Names=[STORED_PARAMETER])["Parameters"]:
            return ok("rollout", f"The settings of an apply are stored in {STORED_PARAMETER}.")
        if reader.find("lambda", region, "get_function", FunctionName=names.function):
            return ok("rollout", f"The function {names.function} exists.")
        if reader.find("ssm", region, "describe_document", Name=names.document):
            return ok("rollout", f"The document {names.document} exists.")
        message = "Nothing is deployed: there is no document, no function, and no apply has stored its settings."
        return finding("rollout", message)


class OtherRegions(TargetCheck):
    """Check the regions of an account that the settings leave out."""

    info = CheckInfo(
        id="other_regions",
        severity=Severity.MEDIUM,
        what="enabled regions of the account that are not among its regions have no managed nodes. A region in which a "
        "service control policy denies the read is left out: no session starts there",
        why="Sessions of nodes in such a region are not covered by any of this.",
        fix="Add the region to organization.regions, or to `regions` in the override of the account, and apply it.",
        evidence="enabled regions, and whether each has a managed node",
        where="home region",
        permissions=(permissions.WITHOUT_RESOURCES.allow("ec2:DescribeRegions", "ssm:DescribeInstanceInformation"),),
        controls=("Security Hub SSM.1", "NIST 800-53 CM-8"),
    )

    def applies(self, place: Place) -> bool:
        """Judge home regions, where preferences are managed."""
        return super().applies(place) and place.target.is_home

    def run(self, place: Place) -> Check:
        """Look for managed nodes in the regions that are left out."""
        regions = place.reader.call("ec2", place.region, "describe_regions")["Regions"]
        enabled = {entry["RegionName"] for entry in regions}
        others = sorted(enabled - set(place.inventory.regions_of(place.target.account)))
        if with_nodes := list(_with_nodes(place.reader, others)):
            fix = _include(with_nodes, place.inventory.regions)
            message = f"There are managed nodes in regions without rollout: {', '.join(with_nodes)}."
            return finding("other_regions", message, fix, ("apply", "--account", place.target.account.id))
        return ok("other_regions", f"There are no managed nodes in the {len(others)} other enabled regions.")


def _include(regions: Sequence[str], used: Collection[str]) -> str:
    """Return how to roll out to regions of an account; an override can only name regions that the organization uses."""
    new, left_out = [each for each in regions if each not in used], [each for each in regions if each in used]
    fixes = []
    if new:
        fixes.append(
            f"Add {', '.join(new)} to organization.regions (an override with `regions` leaves other accounts as they "
            "are), and apply the account."
        )
    if left_out:
        fixes.append(f"Add {', '.join(left_out)} to `regions` of the account in its override, and apply the account.")
    return " ".join(fixes)


def _with_nodes(reader: Reader, regions: list[str]) -> Iterator[str]:
    for region in regions:
        try:
            found = reader.call("ssm", region, "describe_instance_information", MaxResults=5)
        except ClientError as error:
            if SCP_DENIES not in error.response["Error"].get("Message", ""):
                raise
        else:
            if found["InstanceInformationList"]:
                yield region
