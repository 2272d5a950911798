"""The expected preferences document of a target: the inputs that modules/preferences sends to the function.

This is the only statement of them in Python; a test holds it against the module.
"""

from typing import Any

from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target


def expected_preferences(target: Target, values: TargetSettings, session_key_arn: str | None) -> dict[str, Any]:
    """Return the request to the function: `document`, `preferences`, `adopt`, `waive`; no key ARN for no key."""
    configured = values.preferences
    s3, cloudwatch, profile = configured.s3, configured.cloudwatch, configured.shell_profile
    group = log_group_name(values)
    prefix = "/".join(filter(None, [s3.key_prefix, target.account.id, target.region]))
    return {
        "document": values.names.document,
        "preferences": {
            "s3BucketName": s3.bucket_name if s3.enabled else None,
            "s3KeyPrefix": prefix if s3.enabled else None,
            "s3EncryptionEnabled": s3.encryption_enabled if s3.enabled else None,
            "cloudWatchLogGroupName": group or None,
            "cloudWatchEncryptionEnabled": cloudwatch.encryption_enabled if group else None,
            "cloudWatchStreamingEnabled": cloudwatch.streaming_enabled if group else None,
            "kmsKeyId": session_key_arn,
            "runAsEnabled": configured.run_as.enabled or None,
            "runAsDefaultUser": configured.run_as.default_user or None,
            "idleSessionTimeout": configured.idle_session_timeout,
            "maxSessionDuration": configured.max_session_duration or None,
            "shellProfile": {"linux": profile.linux or None, "windows": profile.windows or None},
        },
        "adopt": configured.adopt,
        "waive": sorted(configured.waive),
    }


def log_group_name(values: TargetSettings) -> str:
    """Return the name of the log group for session logs; empty if they do not go to CloudWatch."""
    own = values.preferences.cloudwatch.log_group_name
    return values.names.log_group if own is None else own
