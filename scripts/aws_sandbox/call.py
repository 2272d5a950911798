"""One AWS API call as the emulator sees it: who calls what, where, and how to answer in the service's protocol."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

# "AWS4-HMAC-SHA256 Credential=<access key>/<date>/<region>/<service>/aws4_request, …", also as X-Amz-Credential.
_CREDENTIAL = re.compile(r"(?P<key>\w+)/\d{8}/(?P<region>[\w-]+)/(?P<service>[\w-]+)/aws4_request")

# Where the name a request is signed for differs from the name of the service's model.
_MODEL_NAMES = {"monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}

_SERVER_FAULTS = ("Internal", "Service")


class AwsError(ServiceException):
    """An error that AWS would answer with: code and message."""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Call:
    """A signed request to an AWS API.

    Attributes:
        service: Name of the service's model, as boto3 calls it.
        operation: As the model spells it (`PutConfigRule`); empty when the request fits no operation.
        region: Region the request is signed for.
        access_key: Access key the request is signed with.
        account_id: Account of the access key; empty until the gateway has looked it up.
    """

    def __init__(self, environ: Mapping[str, Any], body: bytes, credential: re.Match[str]) -> None:
        self.access_key = credential["key"]
        self.region = credential["region"]
        self.service = _MODEL_NAMES.get(credential["service"], credential["service"])
        self.account_id = ""
        self._request = Request({**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        self._model: ServiceModel = get_service_model(self.service)
        self._protocol = determine_request_protocol(self._model, self._request.content_type)
        try:
            self._operation, self._path_parameters = get_service_router(self.service).match(self._request)
            self.operation = str(self._operation.name)
        except Exception:  # noqa: BLE001 - the router raises whatever its protocol meets; moto words the refusal
            self._operation, self._path_parameters = OperationModel({}, self._model), {}
            self.operation = ""

    @classmethod
    def signed(cls, environ: Mapping[str, Any], body: bytes) -> Call | None:
        """Return the call that a request makes, or None when it carries no credentials."""
        request = Request(dict(environ))
        signature = request.headers.get("Authorization", "") or request.args.get("X-Amz-Credential", "")
        credential = _CREDENTIAL.search(signature)
        return cls(environ, body, credential) if credential else None

    def __str__(self) -> str:
        return f"{self.account_id or 'unknown'} {self.region} {self.action}"

    @property
    def action(self) -> str:
        """The call as IAM writes it, for people: `ssm:GetDocument`."""
        return f"{self.service}:{self.operation or '?'}"

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The call's input, named as in the service's model."""
        request = self._request
        parsed: dict[str, Any] = PROTOCOL_PARSERS[self._protocol](self._operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": self._path_parameters,
            }
        )
        return parsed

    @property
    def owner_account_id(self) -> str:
        """Account of what the call is about: that of a key named by its ARN, else the caller's own."""
        named = str(self.parameters.get("KeyId", "")) if self.service == "kms" and self.operation else ""
        return named.split(":")[4] if named.startswith("arn:") else self.account_id

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the request, with names as in `X-Amz-Log-Type`."""
        return dict(self._request.headers)

    def answer(self, result: Mapping[str, Any]) -> Reply:
        """Return a successful answer with the output members of `result`."""
        return self._serialized(dict(result))

    def refusal(self, error: ServiceException) -> Reply:
        """Return an error as the service words it on the wire, with the HTTP status that AWS uses for its kind."""
        reply = self._serialized(error)
        status = reply.status
        if error.code.startswith("AccessDenied"):
            status = 403
        elif error.code.startswith(_SERVER_FAULTS):
            status = 500
        return Reply(status, reply.headers, reply.body)

    def unknown_credentials(self) -> AwsError:
        """Return the error of this service for an access key that does not exist."""
        message = "The security token included in the request is invalid."
        if self.service == "s3":
            return AwsError("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        if self._protocol == "query":
            return AwsError("InvalidClientTokenId", message)
        return AwsError("UnrecognizedClientException", message)

    def access_denied(self, message: str) -> AwsError:
        """Return the error of this service for what the caller may not do."""
        plain = self.service == "s3" or self._protocol == "query"
        return AwsError("AccessDenied" if plain else "AccessDeniedException", message)

    def _serialized(self, result: object) -> Reply:
        serializer = get_serializer_class(self.service, self._protocol)(operation_model=self._operation)
        serialized = serializer.serialize(result)
        body = serialized["body"]
        return Reply(
            serialized["status_code"],
            {str(name): str(value) for name, value in serialized["headers"].items()},
            body.encode() if isinstance(body, str) else body,
        )
