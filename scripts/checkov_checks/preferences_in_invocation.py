"""Checks of the invocation that writes the preferences document."""

from typing import Any

from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck
from session_manager_values import State, is_expression, mentions_preferences, preferences_of, single, state_of

# Minutes that AWS accepts in the document.
_IDLE_MINUTES = range(1, 61)
_MAXIMUM_MINUTES = range(1, 1441)


def _judge(states: list[State]) -> CheckResult:
    if State.ABSENT in states:
        return CheckResult.FAILED
    return CheckResult.UNKNOWN if State.UNKNOWN in states else CheckResult.PASSED


class _PreferencesCheck(BaseResourceCheck):
    def __init__(self, check_id: str, name: str, category: CheckCategories) -> None:
        super().__init__(name=name, id=check_id, categories=[category], supported_resources=["aws_lambda_invocation"])

    def scan_resource_conf(self, conf: dict[str, Any]) -> CheckResult:
        self.evaluated_keys = ["input"]
        preferences, merges = preferences_of(conf)
        if preferences is None:
            return CheckResult.UNKNOWN
        result = self.judge(preferences)
        # With adopt = "merge", what is not set here is kept as the live document has it.
        return CheckResult.UNKNOWN if merges and result is CheckResult.FAILED else result

    def judge(self, preferences: dict[str, Any]) -> CheckResult:
        """Return the result for preferences by the names of the document's inputs."""
        raise NotImplementedError


class SessionsAreLoggedAndEncrypted(_PreferencesCheck):
    """Sessions go to S3 or to CloudWatch Logs, what receives them is encrypted, and so is the data of the session."""

    def __init__(self) -> None:
        super().__init__(
            "CKV_SMF_1",
            "Ensure the Session Manager preferences log sessions to an encrypted destination and encrypt session data",
            CheckCategories.LOGGING,
        )

    def judge(self, preferences: dict[str, Any]) -> CheckResult:
        """Ask for a destination, the encryption of each destination, and the key."""
        bucket = state_of(preferences.get("s3BucketName"))
        group = state_of(preferences.get("cloudWatchLogGroupName"))
        needed = [state_of(preferences.get("kmsKeyId"))]
        if State.PRESENT not in {bucket, group}:
            needed.append(State.UNKNOWN if State.UNKNOWN in {bucket, group} else State.ABSENT)
        for destination, encryption in ((bucket, "s3EncryptionEnabled"), (group, "cloudWatchEncryptionEnabled")):
            if destination is State.PRESENT:
                needed.append(state_of(preferences.get(encryption)))
            elif destination is State.UNKNOWN:
                needed.append(State.UNKNOWN)
        return _judge(needed)


class SessionsEnd(_PreferencesCheck):
    """Sessions end when they are idle, and after a while in any case."""

    def __init__(self) -> None:
        super().__init__(
            "CKV_SMF_2",
            "Ensure the Session Manager preferences limit idle time (1 to 60 minutes) and duration (1 to 1440 minutes)",
            CheckCategories.GENERAL_SECURITY,
        )

    def judge(self, preferences: dict[str, Any]) -> CheckResult:
        """Ask for both limits within what AWS accepts."""
        limits = (("idleSessionTimeout", _IDLE_MINUTES), ("maxSessionDuration", _MAXIMUM_MINUTES))
        return _judge([_state_of_limit(preferences.get(name), minutes) for name, minutes in limits])


def _state_of_limit(value: Any, minutes: range) -> State:
    if is_expression(value):
        return State.UNKNOWN
    text = str(value).removesuffix(".0")
    return State.PRESENT if text.isdecimal() and int(text) in minutes else State.ABSENT


class InvocationIsNeverReplaced(BaseResourceCheck):
    """A replacement destroys first: for a moment, the account has no preferences."""

    def __init__(self) -> None:
        super().__init__(
            name="Ensure an invocation that manages the Session Manager preferences has no triggers",
            id="CKV_SMF_6",
            categories=[CheckCategories.GENERAL_SECURITY],
            supported_resources=["aws_lambda_invocation"],
        )

    def scan_resource_conf(self, conf: dict[str, Any]) -> CheckResult:
        """Ask for no triggers where a replacement would send a deletion, or where preferences are written."""
        self.evaluated_keys = ["triggers"]
        triggers, scope = single(conf.get("triggers")), single(conf.get("lifecycle_scope"))
        if not triggers:
            return CheckResult.PASSED
        if isinstance(triggers, str):
            return CheckResult.UNKNOWN
        if scope == "CRUD" or mentions_preferences(conf):
            return CheckResult.FAILED
        # Without a deletion to send, triggers only repeat the call.
        return CheckResult.UNKNOWN if is_expression(scope) else CheckResult.PASSED


logging = SessionsAreLoggedAndEncrypted()
limits = SessionsEnd()
triggers = InvocationIsNeverReplaced()
