"""Parts of a function's configuration that moto drops, which Terraform would show as a difference.

They are the logging configuration, the dead-letter target, updates of the configuration of asynchronous invocations,
and the conflict of two permissions with one id.
"""

from __future__ import annotations

import json
from typing import Any

from moto.awslambda import models
from moto.awslambda.models import EventInvokeConfig, LambdaFunction
from moto.awslambda.policy import Policy

from aws_sandbox.call import AwsError

JSON = "JSON"

# Default retries of an asynchronous invocation: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
_DEFAULT_RETRIES = 2


class _Newest(list[EventInvokeConfig]):
    """A list that keeps the newest configuration only: moto appends each and reads the first."""

    def append(self, item: EventInvokeConfig) -> None:
        self[:] = [item]


class _Permissions(Policy):
    """Permissions with unique ids; moto accepts several with one id."""

    def add_statement(self, raw: str, qualifier: str | None = None) -> tuple[Any, str]:
        """Add a permission.

        Raises:
            AwsError: ResourceConflictException: the statement id exists.
        """
        statement_id = json.loads(raw).get("StatementId")
        if any(statement["Sid"] == statement_id for statement in self.statements):
            raise AwsError(
                "ResourceConflictException",
                f"The statement id ({statement_id}) provided already exists. Please provide a new statement id, or "
                "remove the existing statement.",
            )
        return super().add_statement(raw, qualifier)


class ConfiguredFunction(LambdaFunction):
    """moto's function with its whole configuration."""

    def __init__(self, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1) -> None:
        self._logging: dict[str, Any] = spec.get("LoggingConfig") or {}
        self._dead_letter: dict[str, Any] = spec.get("DeadLetterConfig") or {}
        super().__init__(account_id, spec, region, version)
        self.policy = _Permissions(self)

    @property
    def event_invoke_config(self) -> list[EventInvokeConfig]:
        """The configuration of asynchronous invocations, alone in a list; moto puts another list there to delete it."""
        return self._newest

    @event_invoke_config.setter
    def event_invoke_config(self, configurations: list[EventInvokeConfig]) -> None:
        self._newest = _Newest(configurations)

    @property
    def logging_config(self) -> dict[str, Any]:
        """Logging configuration as in GetFunctionConfiguration, with Lambda's defaults."""
        levels = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
        return {
            "LogFormat": "Text",
            "LogGroup": f"/aws/lambda/{self.function_name}",
            **(levels if self._logging.get("LogFormat") == JSON else {}),
            **self._logging,
        }

    @property
    def dead_letter_target(self) -> str:
        """ARN of the dead-letter queue or topic; empty if there is none."""
        return str(self._dead_letter.get("TargetArn", ""))

    @property
    def failure_destination(self) -> str:
        """ARN of the on-failure destination of asynchronous invocations; empty if there is none."""
        destinations = self._invoke_config.get("DestinationConfig") or {}
        return str((destinations.get("OnFailure") or {}).get("Destination", ""))

    @property
    def retries(self) -> int:
        """Number of retries of a failed asynchronous invocation."""
        return int(self._invoke_config.get("MaximumRetryAttempts", _DEFAULT_RETRIES))

    @property
    def _invoke_config(self) -> dict[str, Any]:
        return self.event_invoke_config[0].config if self.event_invoke_config else {}

    def get_configuration(self, on_create: bool = False) -> dict[str, Any]:
        """Return the configuration of the function."""
        return {
            **super().get_configuration(on_create),
            "LoggingConfig": self.logging_config,
            **({"DeadLetterConfig": self._dead_letter} if self.dead_letter_target else {}),
        }

    def update_configuration(self, config_updates: dict[str, Any]) -> dict[str, Any]:
        """Change the configuration of the function."""
        self._logging = config_updates.get("LoggingConfig", self._logging)
        self._dead_letter = config_updates.get("DeadLetterConfig", self._dead_letter)
        return super().update_configuration(config_updates)


def install() -> None:
    """Replace moto's class for functions."""
    models.LambdaFunction = ConfiguredFunction  # type: ignore[misc]
