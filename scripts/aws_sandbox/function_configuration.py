"""What moto forgets of a function's configuration, so that Terraform would see a difference.

That is how it logs, where events go that it fails to handle, any but the first configuration of its asynchronous
invocations, and that it has a permission already.
"""

from __future__ import annotations

import json
from typing import Any

from moto.awslambda import models
from moto.awslambda.models import EventInvokeConfig, LambdaFunction
from moto.awslambda.policy import Policy

from aws_sandbox.call import AwsError

JSON = "JSON"

# Of the two retries of an asynchronous invocation: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
_DEFAULT_RETRIES = 2


class _Newest(list[EventInvokeConfig]):
    """moto appends each configuration and reads the first."""

    def append(self, item: EventInvokeConfig) -> None:
        self[:] = [item]


class _Permissions(Policy):
    """moto keeps a permission beside another one with the same id, and removes the first of them."""

    def add_statement(self, raw: str, qualifier: str | None = None) -> tuple[Any, str]:
        """Add a permission.

        Raises:
            AwsError: ResourceConflictException, when there is one with this id.
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
    """moto's function with the rest of its configuration."""

    def __init__(self, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1) -> None:
        self._logging: dict[str, Any] = spec.get("LoggingConfig") or {}
        self._dead_letter: dict[str, Any] = spec.get("DeadLetterConfig") or {}
        super().__init__(account_id, spec, region, version)
        self.event_invoke_config = _Newest()
        self.policy = _Permissions(self)

    @property
    def logging_config(self) -> dict[str, Any]:
        """As GetFunctionConfiguration shows it, with Lambda's defaults."""
        levels = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
        return {
            "LogFormat": "Text",
            "LogGroup": f"/aws/lambda/{self.function_name}",
            **(levels if self._logging.get("LogFormat") == JSON else {}),
            **self._logging,
        }

    @property
    def dead_letter_target(self) -> str:
        """ARN of the queue or topic for events that failed; empty without one."""
        return str(self._dead_letter.get("TargetArn", ""))

    @property
    def failure_destination(self) -> str:
        """ARN of what gets a record of an asynchronous invocation that failed; empty without one."""
        destinations = self._invoke_config.get("DestinationConfig") or {}
        return str((destinations.get("OnFailure") or {}).get("Destination", ""))

    @property
    def retries(self) -> int:
        """How often an asynchronous invocation that failed is tried again."""
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
    """Let moto create functions that remember their configuration."""
    models.LambdaFunction = ConfiguredFunction  # type: ignore[misc]
