"""Check that who may do what was not changed outside of Terraform: policies, roles, and the code that has them.

The other checks judge what the settings say. Policies follow from settings and modules in many ways, so that here the
last apply is the measure: what it wrote stands in Terraform's state.
"""

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from session_manager_fleet.errors import AccessError, InputError
from session_manager_fleet.targets import Inventory, Target
from session_manager_fleet.terraform import StateBackend, StoredState, UnreadableStateError, permissions, read_state
from session_manager_fleet.verify.applied_resources import Live, differences, further_policies
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, Problem, Severity, Verdict, findings, not_needed, ok

if TYPE_CHECKING:  # the stubs are for developers only
    from mypy_boto3_s3 import S3Client

_NAME = "outside_changes"
# Credentials in files may be replaced while thousands of states are read.
_KNOWN_SECONDS = 300


class States:
    """Reads the states of an organization with the caller's credentials; for several threads.

    Args:
        inventory: The organization, whose settings name the state bucket.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._lock = threading.Lock()
        self._found: tuple[StateBackend, S3Client] | AccessError | None = None
        self._until = 0.0

    def read(self, target: Target) -> StoredState | None:
        """Return the state of a target; None if there is none.

        Raises:
            AccessError: The state bucket cannot be read.
            UnreadableStateError: It is no state that can be compared.
        """
        with self._lock:
            if time.monotonic() >= self._until:
                self._found, self._until = self._find(), time.monotonic() + _KNOWN_SECONDS
            found = self._found
        if isinstance(found, AccessError):
            raise found
        if found is None:
            return None
        backend, client = found
        return read_state(backend, target, client)

    def _find(self) -> "tuple[StateBackend, S3Client] | AccessError | None":
        """Return the backend with a client, the reason why it cannot be read, or None without a bucket."""
        try:
            backend = StateBackend.find(self._inventory.settings.organization, self._inventory.home_region)
            return backend, backend.client()
        except InputError:
            return None
        except AccessError as error:
            return error


class OutsideChanges(TargetCheck):
    """Check that policies, roles and code are as the last apply wrote them."""

    info = CheckInfo(
        id=_NAME,
        severity=Severity.HIGH,
        what="what the state of the target has is as the last apply wrote it: the policies of roles, of the instances, "
        "of keys, of the queue of failures, of the bucket and of the organization; trust policies and permissions "
        "boundaries; role, handler, runtime, layers and environment of the function; content and sharing of the "
        "Automation document, and the parameters that the remediation gives it; scope and triggers of the Config rule; "
        "keys and retention of the log groups and the queue; and roles have no other policies",
        why="Who changes these can give roles more rights, let others run code with them, or read logs.",
        fix="Plan and apply the target, which writes them again; or take the change into the settings.",
        evidence="the state, read with the credentials of the caller, and these resources",
        where="every target with a state",
        permissions=(
            permissions.OWN_ROLES.allow(
                *("iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies")
            ),
            permissions.INSTANCE_POLICY.allow("iam:GetPolicy", "iam:GetPolicyVersion"),
            permissions.ATTACHMENTS.allow("iam:ListAttachedRolePolicies"),
            permissions.KEYS.allow("kms:GetKeyPolicy"),
            permissions.DRIFT_REPAIR.allow("sqs:GetQueueAttributes"),
            permissions.FUNCTION.allow("lambda:GetFunction"),
            permissions.DOCUMENTS.allow("ssm:DescribeDocumentPermission", "ssm:GetDocument"),
            permissions.BUCKETS.allow("s3:GetBucketPolicy"),
            permissions.GUARDRAILS.allow("organizations:DescribePolicy"),
            permissions.WITHOUT_RESOURCES.allow(
                "config:DescribeConfigRules", "config:DescribeRemediationConfigurations", "logs:DescribeLogGroups"
            ),
        ),
        controls=("NIST 800-53 AC-6", "NIST 800-53 CM-3", "NIST 800-53 CM-5", "NIST 800-53 SI-7"),
    )

    def applies(self, place: Place) -> bool:
        """Judge every target of a run that can read states."""
        return place.states is not None

    def run(self, place: Place) -> Check:
        """Compare the live resources with the state."""
        assert place.states is not None  # noqa: S101 - see `applies`
        try:
            state = place.states.read(place.target)
        except AccessError as error:
            # It is not the role in the account that reads states.
            fix = "Let your credentials, or organization.state.role, read the states (docs/permissions.md)."
            return Check(_NAME, Verdict.NOT_CHECKED, str(error), fix)
        except UnreadableStateError as error:
            return _unlike(error)
        try:
            if state is None or not state.resources:
                return not_needed(_NAME, "Terraform has no state of this target.")
            problems = list(_problems(place, state))
        except UnreadableStateError as error:
            return _unlike(error)
        if problems:
            return findings(_NAME, "Not as the last apply wrote it", problems)
        return ok(_NAME, "Policies, roles and code are as the last apply wrote them.")


def _unlike(error: UnreadableStateError) -> Check:
    return findings(_NAME, "The live resources cannot be compared", [Problem(str(error))])


def _problems(place: Place, state: StoredState) -> Iterator[Problem]:
    live = Live(place.reader, place.region)
    for resource in state.resources:
        try:
            yield from map(Problem, differences(live, resource))
        except (LookupError, AttributeError, TypeError, ValueError):
            raise UnreadableStateError(f"the state of {resource.address} has another form") from None
    for text, command in further_policies(live, state.resources):
        yield Problem(text, f"Take it away, with a role that the guardrails exempt: `aws iam {command}`.")
