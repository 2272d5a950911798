"""Automation documents (schema 0.3): steps, parameters and references.

See https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-schemas-features.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_sandbox.call import AwsError
from aws_sandbox.json_paths import at

SCRIPT = "aws:executeScript"

_REFERENCE = re.compile(r"\{\{\s*([\w.:-]+)\s*\}\}")
_DEFAULT_TIMEOUT = 600

# The API passes a parameter as a list of strings.
_READERS: dict[str, Callable[[list[str]], Any]] = {
    "String": lambda texts: texts[0],
    "StringList": list,
    "Boolean": lambda texts: texts[0].lower() == "true",
    "Integer": lambda texts: int(texts[0]),
    "StringMap": lambda texts: json.loads(texts[0]),
    "MapList": lambda texts: [json.loads(text) for text in texts],
}
_TYPES: dict[str, type] = {
    "String": str,
    "StringList": list,
    "Boolean": bool,
    "Integer": int,
    "StringMap": dict,
    "MapList": list,
}


class StepError(Exception):
    """A step cannot run, or its outputs differ from those that the document declares."""


@dataclass(frozen=True)
class Step:
    """A step of a document.

    Attributes:
        name: Name of the step.
        action: `aws:executeScript`.
        inputs: Inputs with unresolved references.
        outputs: Declared outputs: name, selector and type.
        timeout: Timeout in seconds.
        is_end: Whether the automation ends after this step.
    """

    name: str
    action: str
    inputs: Mapping[str, Any]
    outputs: tuple[Mapping[str, str], ...]
    timeout: int
    is_end: bool

    @classmethod
    def of(cls, step: Mapping[str, Any]) -> Step:
        """Parse a step.

        Raises:
            NotImplementedError: The step branches, retries or continues after a failure.
        """
        if "nextStep" in step or step.get("onFailure", "Abort") != "Abort" or step.get("maxAttempts", 1) != 1:
            raise NotImplementedError("The sandbox runs steps in order, once, until one fails.")
        return cls(
            step["name"],
            step["action"],
            step.get("inputs", {}),
            tuple(step.get("outputs", ())),
            int(step.get("timeoutSeconds", _DEFAULT_TIMEOUT)),
            bool(step.get("isEnd", False)),
        )

    def select_outputs(self, response: Mapping[str, Any]) -> dict[str, Any]:
        """Select the declared outputs from a response; keys are `Step.Output`.

        Raises:
            StepError: An output is missing or has another type.
        """
        selected = {}
        for output in self.outputs:
            value = at(response, output["Selector"])
            if value is None:
                raise StepError(f"The selector {output['Selector']} of output {output['Name']} matches nothing.")
            if not isinstance(value, _TYPES[output.get("Type", "String")]):
                raise StepError(f"Output {output['Name']} is not of type {output.get('Type', 'String')}.")
            selected[f"{self.name}.{output['Name']}"] = value
        return selected


def resolve_parameters(document: Mapping[str, Any], given: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the values of a document's parameters.

    Args:
        document: Content of the document.
        given: Parameters passed by the caller.

    Raises:
        AwsError: InvalidAutomationExecutionParametersException, as in AWS before an automation starts.
    """
    declared: Mapping[str, Mapping[str, Any]] = document.get("parameters", {})
    if unknown := given.keys() - declared.keys():
        raise _refused(f"Parameters {sorted(unknown)} are not declared in the document.")
    values = {}
    for name, declaration in declared.items():
        if name in given:
            values[name] = _read(name, declaration, given[name])
        elif "default" in declaration:
            values[name] = declaration["default"]
        else:
            raise _refused(f"Parameter {name} has no value and no default.")
    return values


def resolved(value: Any, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - anything that JSON can hold
    """Return an input with its references (`{{ name }}`) replaced; a lone reference keeps the type of its value.

    Raises:
        StepError: A reference cannot be resolved.
    """

    def find(name: str) -> Any:  # noqa: ANN401
        if name not in values:
            raise StepError(f"{{{{ {name} }}}} is neither a parameter nor the output of an earlier step.")
        return values[name]

    if isinstance(value, dict):
        return {key: resolved(member, values) for key, member in value.items()}
    if isinstance(value, list):
        return [resolved(member, values) for member in value]
    if not isinstance(value, str):
        return value
    if alone := _REFERENCE.fullmatch(value.strip()):
        return find(alone[1])
    return _REFERENCE.sub(lambda reference: text(find(reference[1])), value)


def text(value: object) -> str:
    """Return a value as Automation inserts it into a string."""
    return value if isinstance(value, str) else json.dumps(value)


def _read(name: str, declaration: Mapping[str, Any], texts: list[str]) -> Any:  # noqa: ANN401
    try:
        value = _READERS[declaration["type"]](texts)
    except (ValueError, IndexError, KeyError) as error:
        raise _refused(f"Parameter {name} is not of type {declaration['type']}.") from error
    pattern, allowed = declaration.get("allowedPattern"), declaration.get("allowedValues")
    for each in texts:
        if pattern and not re.fullmatch(pattern, each):
            raise _refused(f"Parameter {name}: {each!r} does not match the allowedPattern {pattern}.")
        if allowed and each not in [str(value) for value in allowed]:
            raise _refused(f"Parameter {name}: {each!r} is not one of {allowed}.")
    return value


def _refused(message: str) -> AwsError:
    return AwsError("InvalidAutomationExecutionParametersException", message)
