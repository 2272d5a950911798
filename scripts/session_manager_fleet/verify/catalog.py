"""All checks of a target, the promises that they stand for, and the permissions that they need."""

from collections.abc import Sequence
from dataclasses import dataclass

from session_manager_fleet.terraform import Permission, merged, permissions
from session_manager_fleet.verify.account_prerequisites import PREREQUISITES
from session_manager_fleet.verify.alarm_recipient import AlarmRecipient
from session_manager_fleet.verify.applied_preferences import AppliedPreferences
from session_manager_fleet.verify.archive_protection import ArchiveProtection
from session_manager_fleet.verify.bucket import Bucket
from session_manager_fleet.verify.bucket_policy import BucketPolicy
from session_manager_fleet.verify.checks import TargetCheck
from session_manager_fleet.verify.config_rule import ConfigRule
from session_manager_fleet.verify.drift_repair import DriftRepair
from session_manager_fleet.verify.endpoints import Endpoints
from session_manager_fleet.verify.guardrails import Guardrails
from session_manager_fleet.verify.instance_policy import InstancePolicy
from session_manager_fleet.verify.key_protection import Keys
from session_manager_fleet.verify.keys import SessionKey
from session_manager_fleet.verify.log_delivery import DataProtection, Subscription
from session_manager_fleet.verify.log_group import LogGroup
from session_manager_fleet.verify.logs import Logs, LogStreams
from session_manager_fleet.verify.outside_changes import OutsideChanges
from session_manager_fleet.verify.preferences import Preferences
from session_manager_fleet.verify.public_sharing import PublicSharing
from session_manager_fleet.verify.recorder import Recorder
from session_manager_fleet.verify.roles import Roles
from session_manager_fleet.verify.rollout import OtherRegions, Rollout
from session_manager_fleet.verify.session_documents import SessionDocuments
from session_manager_fleet.verify.sessions import SESSIONS

# In the order in which they run and are documented.
CHECKS: tuple[TargetCheck, ...] = (
    Rollout(),
    SessionKey(),
    Preferences(),
    LogGroup(),
    Subscription(),
    DataProtection(),
    Bucket(),
    BucketPolicy(),
    ArchiveProtection(),
    DriftRepair(),
    AlarmRecipient(),
    AppliedPreferences(),
    OutsideChanges(),
    PublicSharing(),
    SessionDocuments(),
    Keys(),
    Endpoints(),
    Logs(),
    LogStreams(),
    OtherRegions(),
    Roles(),
    InstancePolicy(),
    Recorder(),
    ConfigRule(),
    Guardrails(),
)

# What the checks of `verify` need, and what the read role needs for plans, `verify`, `sessions` and `doctor`.
VERIFY: tuple[Permission, ...] = merged(one for check in CHECKS for one in check.info.permissions)
READ: tuple[Permission, ...] = merged(
    [*permissions.TERRAFORM_READ, *permissions.LOCKOUT_READ, *VERIFY, *SESSIONS, *PREREQUISITES]
)


@dataclass(frozen=True)
class Promise:
    """A promise of the product, and the ids of the checks that stand for it."""

    text: str
    checks: Sequence[str]


PROMISES = (
    Promise("Every account and region of the organization is rolled out to", ["rollout", "other_regions"]),
    Promise("Sessions have the configured preferences", ["preferences"]),
    Promise(
        "A change of the preferences outside Terraform is repaired, to the right settings, and failures are noticed",
        ["drift_repair", "alarm_recipient", "applied_preferences"],
    ),
    Promise("Session data is encrypted with the configured key", ["session_key", "preferences", "keys"]),
    Promise(
        "Sessions are logged, and the logs are encrypted", ["preferences", "log_group", "bucket", "logs", "log_streams"]
    ),
    Promise("Session logs are sent on, and what is secret in them is masked", ["subscription", "data_protection"]),
    Promise("Sessions with other documents are logged, too", ["session_documents", "guardrails"]),
    Promise("Only the auditors read logs in the archive, and they cannot be deleted", ["bucket_policy", "archive"]),
    Promise("Instances can use the session key and write logs", ["instance_policy", "roles", "endpoints"]),
    Promise(
        "Roles without the instance policy are noticed, and can be remediated", ["recorder", "config_rule", "roles"]
    ),
    Promise("Only exempt roles can change any of this, or start sessions that are not logged", ["guardrails"]),
    Promise("Roles, keys and code have the rights and the content that an apply gave them", ["outside_changes"]),
    Promise("Documents cannot be shared with everybody", ["public_sharing", "preferences"]),
)
