"""A provider process for the terraform commands of the tests, as plans of the rollout have one; here, applies too."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from session_manager_fleet.terraform.provider_process import attached_provider
from session_manager_fleet.terraform.root_module import RootModule

# Commands that start the provider.
_COMMANDS = {"plan", "show", "apply", "destroy", "test"}


@contextmanager
def attachment(command: str, folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the variables that attach a provider process to one command in an initialized folder."""
    if command not in _COMMANDS:
        yield {}
        return
    # Configured a second time, for the apply, it stumbles over certificates, which nothing here needs.
    without = {name: value for name, value in environment.items() if name != "AWS_CA_BUNDLE"}
    # One process serves one configuration: an example with several starts its providers itself.
    if (
        len(re.findall(r'^provider "aws" ', "".join(file.read_text() for file in folder.glob("*.tf")), re.MULTILINE))
        > 1
    ):
        yield {}
        return
    with attached_provider(RootModule(folder), folder / ".terraform", without) as provider:
        yield dict(provider.attachment)
