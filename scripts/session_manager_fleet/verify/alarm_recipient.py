"""Check that the alarm on the queue of failures notifies a recipient."""

from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.drift_repair import shared_alarm
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok

_NAME = "alarm_recipient"


class AlarmRecipient(TargetCheck):
    """Check the actions of the alarm, which has none by default."""

    info = CheckInfo(
        id=_NAME,
        severity=Severity.LOW,
        what="the alarm on the queue of failures has an action, and its actions are enabled. By default it has none",
        why="Without an action, failed repairs are seen only by those who look at the alarm, or run verify.",
        fix="Set preferences.drift_repair.notify_topic_arn to an SNS topic of the region, and plan and apply the "
        "target. Without a topic the finding stays as advice: alarms can also be watched by other means, such as an "
        "EventBridge rule.",
        evidence="the actions of the alarm",
        where="every target, unless `drift_repair.enabled` is false",
        permissions=(permissions.DRIFT_REPAIR.allow("cloudwatch:DescribeAlarms"),),
        controls=("Security Hub CloudWatch.15", "Security Hub CloudWatch.17", "NIST 800-53 SI-4"),
    )

    def applies(self, place: Place) -> bool:
        """Judge targets with drift repair."""
        return super().applies(place) and place.values.preferences.drift_repair.enabled

    def run(self, place: Place) -> Check:
        """Judge the actions."""
        name = f"{place.values.names.function}-failures"
        alarm = shared_alarm(place.reader, place.region, name)
        if alarm is None:
            return not_needed(_NAME, f"The alarm {name} does not exist, which is a finding of drift_repair.")
        if alarm["ActionsEnabled"] and alarm["AlarmActions"]:
            return ok(_NAME, f"The alarm {name} notifies {', '.join(alarm['AlarmActions'])}.")
        state = "no action" if alarm["ActionsEnabled"] else "disabled actions"
        fix = (
            "In organization.yaml, set preferences.drift_repair.notify_topic_arn to the ARN of an SNS topic in "
            f"{place.region} whose policy lets CloudWatch publish; then plan and apply this target."
        )
        return finding(_NAME, f"The alarm {name} has {state}, so failed repairs notify no recipient.", fix, ("apply",))
