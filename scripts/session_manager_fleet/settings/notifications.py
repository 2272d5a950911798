"""The section `notifications` of organization.yaml."""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from session_manager_fleet.settings.types import StrictModel

NotifiedEvent = Literal["run_finished", "run_failed", "new_findings", "expiring_exceptions"]
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
_NOT_HERE = "the URL is a secret, which does not belong in this file"


def _variable(value: object) -> object:
    """Refuse anything but a name, without repeating it: it may be the URL itself."""
    if isinstance(value, str) and not re.fullmatch(_VARIABLE, value):
        raise ValueError(f"write the name of an environment variable; {_NOT_HERE}")
    return value


def _file(value: object) -> object:
    """Refuse a URL, without repeating it."""
    if isinstance(value, str) and (not value or "://" in value):
        raise ValueError(f"write the path of a file; {_NOT_HERE}")
    return value


class Webhook(StrictModel):
    """A webhook that takes Slack's JSON. Its URL is a secret, so this file only says where to find it."""

    url_variable: Annotated[str, BeforeValidator(_variable), Field(json_schema_extra={"pattern": _VARIABLE})] | None = (
        None
    )
    """Environment variable with the URL."""
    url_file: Annotated[str, BeforeValidator(_file)] | None = None
    """File with the URL, relative to organization.yaml; only its owner may be able to read it."""

    @model_validator(mode="before")
    @classmethod
    def _no_url(cls, data: object) -> object:
        if isinstance(data, str):
            raise ValueError(f"give url_variable or url_file; {_NOT_HERE}")  # noqa: TRY004 - pydantic reports it
        return data

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.url_variable is None) == (self.url_file is None):
            raise ValueError("give either url_variable or url_file")
        return self


class Notifications(StrictModel):
    """Receivers of messages about runs, and what they are told."""

    sns_topic_arn: str | None = Field(
        None, pattern=r"^arn:aws(-cn|-us-gov|-eusc)?:sns:[a-z0-9-]{5,40}:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
    )
    """SNS topic, to which the caller of the command may publish."""
    webhook: Webhook | None = None
    """Webhook that takes Slack's JSON."""
    events: list[NotifiedEvent] = Field(
        ["run_finished", "run_failed", "new_findings", "expiring_exceptions"], min_length=1
    )
    """Runs that end well, runs that fail, findings that the last verification did not have, and exceptions that expire
    within 30 days."""

    @model_validator(mode="after")
    def _someone_is_told(self) -> Self:
        if self.sns_topic_arn is None and self.webhook is None:
            raise ValueError("name an sns_topic_arn or a webhook, or remove the section")
        return self
