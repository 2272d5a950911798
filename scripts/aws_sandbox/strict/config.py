"""AWS Config: rules need a recorder."""

from __future__ import annotations

from moto.config.models import config_backends

from aws_sandbox.call import AwsError, Call


def rule_needs_recorder(call: Call) -> None:
    """Reject a rule in a region without a configuration recorder.

    Raises:
        AwsError: NoAvailableConfigurationRecorderException.
    """
    if not config_backends[call.account_id][call.region].recorders:
        raise AwsError(
            "NoAvailableConfigurationRecorderException",
            "You must create a configuration recorder before you can create or update a Config rule.",
        )


REFUSALS = (("config:PutConfigRule", rule_needs_recorder),)
