"""AWS Config rules need a recorder in their region."""

from collections.abc import Iterator, Mapping
from typing import Any

from session_manager_fleet.run.refusals.planned import Place, planned

NEEDS = "config:DescribeConfigurationRecorders"


def problems(plan: Mapping[str, Any], place: Place) -> Iterator[str]:
    """Yield what is missing for a rule that the plan creates or changes."""
    if any(planned(plan, "aws_config_config_rule")) and not has_recorder(place):
        yield (
            f"AWS Config has no recorder in {place.region}, and rules need one. Set up a recorder that records "
            'AWS::IAM::Role, or leave the rule out with config_rule.without_recorder: "skip" or an exception.'
        )


def has_recorder(place: Place) -> bool:
    """Tell whether the account has a recorder in the region; recorders of AWS services do not count.

    Raises:
        ClientError: AWS refuses the call.
    """
    return bool(place.ask("config", "describe_configuration_recorders")["ConfigurationRecorders"])
