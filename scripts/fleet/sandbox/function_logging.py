"""A function's logging configuration (log group, format): moto forgets it, and Terraform would see a difference."""

from __future__ import annotations

from typing import Any

from moto.awslambda import models
from moto.awslambda.models import LambdaFunction

JSON = "JSON"


class LoggingFunction(LambdaFunction):
    """moto's function with its logging configuration."""

    def __init__(self, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1) -> None:
        self._logging: dict[str, Any] = spec.get("LoggingConfig") or {}
        super().__init__(account_id, spec, region, version)

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

    def get_configuration(self, on_create: bool = False) -> dict[str, Any]:
        """Return the configuration of the function."""
        return {**super().get_configuration(on_create), "LoggingConfig": self.logging_config}

    def update_configuration(self, config_updates: dict[str, Any]) -> dict[str, Any]:
        """Change the configuration of the function."""
        self._logging = config_updates.get("LoggingConfig", self._logging)
        return super().update_configuration(config_updates)


def install() -> None:
    """Let moto create functions that remember their logging configuration."""
    models.LambdaFunction = LoggingFunction  # type: ignore[misc]
