"""An AWS API call: parse the signed request, and serialize results and errors in the service's protocol."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.model import Shape
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

# IAM User Guide, "Authentication methods": the header; the sandbox knows no presigned URLs.
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>\w+)/\d{8}/(?P<region>[\w-]+)/(?P<service>[\w-]+)/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[\w;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)

# Signing names that differ from the name of the service's model.
_MODEL_NAMES = {"monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}

_SERVER_FAULTS = ("Internal", "Service")


class AwsError(ServiceException):
    """An error response of AWS: code and message."""


@dataclass(frozen=True)
class Reply:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Call:
    """A signed request to an AWS API.

    Attributes:
        service: Name of the service's model, as in boto3.
        operation: Operation name in the model (`PutConfigRule`); empty when no operation matches the request.
        region: Region in the signature.
        access_key: Access key in the signature.
        signing_name: Name of the service in the signature.
        signed_headers: Names of the signed headers, spelled like `X-Amz-Date`.
        signature: The signature, 64 hexadecimal digits.
        account_id: Account of the access key; empty until the gateway looks it up.
    """

    def __init__(self, environ: Mapping[str, Any], body: bytes, authorization: re.Match[str]) -> None:
        self.access_key = authorization["key"]
        self.region = authorization["region"]
        self.signing_name = authorization["service"]
        self.signed_headers = tuple(name.title() for name in authorization["headers"].split(";"))
        self.signature = authorization["signature"]
        self.service = _MODEL_NAMES.get(self.signing_name, self.signing_name)
        self.account_id = ""
        self._request = Request({**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        self._model: ServiceModel = get_service_model(self.service)
        self._protocol = determine_request_protocol(self._model, self._request.content_type)
        try:
            self._operation, self._path_parameters = get_service_router(self.service).match(self._request)
            self.operation = str(self._operation.name)
        except Exception:  # noqa: BLE001 - the router raises many types; moto answers with the error
            self._operation, self._path_parameters = OperationModel({}, self._model), {}
            self.operation = ""

    @classmethod
    def signed(cls, environ: Mapping[str, Any], body: bytes) -> Call | None:
        """Parse a request; return None when it is not signed."""
        authorization = _AUTHORIZATION.fullmatch(str(environ.get("HTTP_AUTHORIZATION", "")))
        return cls(environ, body, authorization) if authorization else None

    def __str__(self) -> str:
        return f"{self.account_id or 'unknown'} {self.region} {self.action}"

    @property
    def action(self) -> str:
        """Service and operation for messages: `ssm:GetDocument`."""
        return f"{self.service}:{self.operation or '?'}"

    @property
    def shape(self) -> Shape | None:
        """The shape of the call's input; None if the operation has no input or is unknown."""
        return self._operation.input_shape if self.operation else None

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The call's input, with the member names of the service's model."""
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
        """Account of the resource: that of a KMS key given by ARN, else the caller's account."""
        named = str(self.parameters.get("KeyId", "")) if self.service == "kms" and self.operation else ""
        return named.split(":")[4] if named.startswith("arn:") else self.account_id

    @property
    def headers(self) -> Mapping[str, str]:
        """Request headers, spelled like `X-Amz-Log-Type`."""
        return dict(self._request.headers)

    def answer(self, result: Mapping[str, Any]) -> Reply:
        """Serialize a successful response with the output members of `result`."""
        return self._serialized(dict(result))

    def refusal(self, error: ServiceException) -> Reply:
        """Serialize an error in the service's protocol, with the HTTP status that AWS uses for it."""
        reply = self._serialized(error)
        status = reply.status
        if error.code.startswith("AccessDenied"):
            status = 403
        elif error.code.startswith(_SERVER_FAULTS):
            status = 500
        return Reply(status, reply.headers, reply.body)

    def unknown_credentials(self) -> AwsError:
        """Return the service's error for an unknown access key."""
        message = "The security token included in the request is invalid."
        if self.service == "ec2":
            return AwsError("AuthFailure", "AWS was not able to validate the provided access credentials")
        if self.service == "s3":
            return AwsError("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        if self._protocol == "query":
            return AwsError("InvalidClientTokenId", message)
        return AwsError("UnrecognizedClientException", message)

    def expired_credentials(self) -> AwsError:
        """Return the service's error for the credentials of a session that has ended."""
        if self.service == "ec2":
            return AwsError("RequestExpired", "Request has expired.")
        plain = self.service == "s3" or self._protocol == "query"
        message = "The security token included in the request is expired"
        return AwsError("ExpiredToken" if plain else "ExpiredTokenException", message)

    def invalid_signature(self, message: str) -> AwsError:
        """Return the service's error for a request that its access key did not sign."""
        plain = self.service == "s3" or self._protocol == "query"
        return AwsError("SignatureDoesNotMatch" if plain else "InvalidSignatureException", message)

    def access_denied(self, message: str) -> AwsError:
        """Return the service's error for a call that is not authorized."""
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
