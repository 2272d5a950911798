"""Check what an apply stored in Parameter Store: the settings for drift repair, and the id of the session key."""

from session_manager_fleet.preferences import (
    ORIGINAL_PARAMETER,
    STORED_PARAMETER,
    expected_preferences,
    stored_differences,
)
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.keys import shared_session_key
from session_manager_fleet.verify.model import Check, CheckInfo, Problem, Severity, findings, not_needed, ok
from session_manager_fleet.verify.reading import Reader

_NAME = "applied_preferences"


def applied_preferences(reader: Reader, target: Target, values: TargetSettings, key_arn: str | None) -> Check:
    """Check that the parameters are what an apply stores; `key_arn` is None without a session key."""
    names, key = values.names, values.preferences.session_key
    if key.enabled and key_arn is None:
        return not_needed(_NAME, "Not compared: the expected parameters depend on the session key.")
    created = key.enabled and key.kms_key_arn is None
    wanted = [STORED_PARAMETER, ORIGINAL_PARAMETER, *([names.data_key_parameter] if created else [])]
    answer = reader.call("ssm", target.region, "get_parameters", Names=wanted)
    found = {entry["Name"]: entry["Value"] for entry in answer["Parameters"]}
    problems: list[Problem] = []
    problems.extend(
        Problem(f"{name} does not exist, so no drift is repaired")
        for name in (STORED_PARAMETER, ORIGINAL_PARAMETER)
        if name not in found
    )
    if STORED_PARAMETER in found and (
        differing := stored_differences(found[STORED_PARAMETER], expected_preferences(target, values, key_arn))
    ):
        text = f"{STORED_PARAMETER} differs from the settings, so drift is repaired to others: {', '.join(differing)}"
        problems.append(Problem(text.rstrip(".")))
    if created and key_arn:
        stored = found.get(names.data_key_parameter)
        # A key that existed before is used without a parameter.
        if stored is None and key.existing == "refuse":
            problems.append(Problem(f"{names.data_key_parameter} does not exist"))
        elif stored is not None and stored != key_arn.rpartition("/")[2]:
            text = f"{names.data_key_parameter} holds {stored}, but {names.data_key_alias} is the key {key_arn}"
            problems.append(Problem(text))
    if problems:
        return findings(_NAME, "What the last apply stored is not as configured", problems)
    return ok(_NAME, "The stored settings match the configuration.")


class AppliedPreferences(TargetCheck):
    """Check what an apply stored."""

    info = CheckInfo(
        id="applied_preferences",
        severity=Severity.HIGH,
        what="the parameter `/session-manager/applied-preferences`, to which drift is repaired, equals the settings "
        "(of shell profiles the digests are compared); `/session-manager/original-document`, without which no drift is "
        "repaired, is there; and `names.data_key_parameter` holds the id of the key that the "
        "alias stands for",
        why="Drift is repaired to what is stored there: other settings would be brought back again and again.",
        fix="Plan and apply the target.",
        evidence="the parameters",
        where="every target",
        permissions=(
            permissions.PARAMETER.allow("ssm:GetParameters"),
            permissions.STORED_SETTINGS.allow("ssm:GetParameters"),
            permissions.KEYS.allow("kms:DescribeKey"),
        ),
        controls=("NIST 800-53 CM-2", "NIST 800-53 SI-7"),
    )

    def run(self, place: Place) -> Check:
        """Compare what is stored with the settings."""
        arn = shared_session_key(place)[1]
        return applied_preferences(place.reader, place.target, place.values, arn)
