"""Stands in for boto3 in the process of the Automation script: AWS answers as a scenario says.

The clients are botocore's own, with requests and answers checked against AWS's service models. AUTOMATION_SCENARIO
names a JSON file with the calls in their order, each with `service`, `operation`, `parameters`, and `answer` or
`error`; every call that the script makes is appended to the file that AUTOMATION_CALLS names.
"""

import json
import os
from pathlib import Path
from typing import Any

from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config
from botocore.session import get_session
from botocore.stub import Stubber


def client(service: str, config: Config | None = None, region_name: str = "eu-west-1") -> BaseClient:
    """Return a client of a service with the answers of the scenario."""
    made: BaseClient = get_session().create_client(
        service, region_name, aws_access_key_id="testing", aws_secret_access_key="testing", config=config
    )
    stubber = Stubber(made)
    for call in json.loads(Path(os.environ["AUTOMATION_SCENARIO"]).read_text(encoding="utf-8")):
        if call["service"] != service:
            continue
        method = xform_name(call["operation"])
        if "error" in call:
            stubber.add_client_error(method, call["error"], "Refused.", expected_params=call["parameters"])
        else:
            stubber.add_response(method, call["answer"], call["parameters"])
    stubber.activate()
    made.meta.events.register_first(f"before-parameter-build.{service}", _note)
    return made


def _note(params: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401
    call = {"service": model.service_model.service_name, "operation": model.name, "parameters": params}
    with Path(os.environ["AUTOMATION_CALLS"]).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(call) + "\n")
