"""JSON Schemas of models, with the docstrings below their attributes as descriptions.

The option of pydantic for that, `use_attribute_docstrings`, reads the sources in each process that imports the models,
which is a fifth of the time that a command needs to start.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    """Return the JSON Schema of a model: keys, types, limits and descriptions."""
    return {"$schema": DIALECT, **model.model_json_schema(mode=mode, schema_generator=_Described)}


class _Described(GenerateJsonSchema):
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return _described(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        return _described(super().dataclass_schema(schema), schema["cls"])


def _described(schema: JsonSchemaValue, cls: type) -> JsonSchemaValue:
    """Describe the properties that have no description of their own."""
    descriptions: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        descriptions |= _docstrings(base.__module__).get(base.__qualname__, {})
    properties = schema.get("properties", {})
    for name, key in _keys(cls):
        if key in properties and name in descriptions:
            properties[key].setdefault("description", descriptions[name])
    return schema


def _keys(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the attributes with their keys."""
    for name, hint in get_type_hints(cls, include_extras=True).items():
        fields = [data for data in getattr(hint, "__metadata__", ()) if isinstance(data, FieldInfo)]
        yield name, next((field.alias for field in fields if field.alias), name)


@cache
def _docstrings(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings below the attributes of a module's classes, by the names of both."""
    if not module.startswith(f"{__package__.split('.')[0]}."):
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: dict(_documented(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _documented(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for attribute, below in zip(definition.body, definition.body[1:], strict=False):
        if not isinstance(attribute, ast.AnnAssign) or not isinstance(attribute.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield attribute.target.id, inspect.cleandoc(below.value.value)
