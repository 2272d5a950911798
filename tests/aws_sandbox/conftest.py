"""Fixtures that several tests of the sandbox share."""

import io
import uuid
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest


def package(source: str) -> bytes:
    """Return a zip with `app/handler.py`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app/__init__.py", "")
        archive.writestr("app/handler.py", source)
    return content.getvalue()


@pytest.fixture
def make_function(member: boto3.Session) -> Iterator[Callable[..., str]]:
    """Create functions from source; they are deleted afterwards."""
    functions = member.client("lambda")
    role = member.client("iam").get_role(RoleName="report-function")["Role"]["Arn"]
    names: list[str] = []

    def make(source: str, **settings: object) -> str:
        name = f"function-{uuid.uuid4().hex[:8]}"
        request: dict[str, Any] = {
            "FunctionName": name,
            "Role": role,
            "Runtime": "python3.13",
            "Handler": "app.handler.handle",
            "Code": {"ZipFile": package(source)},
            **settings,
        }
        functions.create_function(**request)
        names.append(name)
        return name

    yield make
    for name in names:
        functions.delete_function(FunctionName=name)
