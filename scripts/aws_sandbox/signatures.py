"""Signature Version 4: a caller proves that it has the secret of its access key, as at AWS.

moto accepts every signature. On a machine with several users, the id of an access key, which is no secret, would let
each of them in, and the functions that they create would run as the user who started the emulator.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from aws_sandbox.call import Call

# AWS refuses requests that are further from its own time: IAM User Guide, "Signature Version 4 request elements".
_TOLERANCE = timedelta(minutes=15)
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"
_NO_HASH = ("UNSIGNED-PAYLOAD", "STREAMING-")


class Secret(NamedTuple):
    """The secret access key, and the session token of temporary credentials; that of a user's key is empty."""

    secret_access_key: str
    session_token: str


def verify(call: Call, environ: Mapping[str, Any], body: bytes, secret: Secret) -> None:
    """Reject a call that the owner of its access key did not sign, or that was changed on its way.

    Raises:
        AwsError: The error of the service for a wrong token, signature, time or hash of the body.
    """
    headers = call.headers
    if not hmac.compare_digest(headers.get("X-Amz-Security-Token", ""), secret.session_token):
        raise call.unknown_credentials()
    stated = headers.get("X-Amz-Content-Sha256", "")
    if stated and not stated.startswith(_NO_HASH) and stated != hashlib.sha256(body).hexdigest():
        raise call.invalid_signature("The hash of the body differs from x-amz-content-sha256.")
    timestamp = headers.get("X-Amz-Date", "")
    if not _is_current(timestamp):
        raise call.invalid_signature(f"Signature expired or not yet valid: {timestamp[:20]!r}.")
    signed = [name for name in call.signed_headers if name in headers]
    if "Host" not in signed:
        raise call.invalid_signature("'host' must be a signed header.")
    request = AWSRequest(
        method=environ["REQUEST_METHOD"],
        # With the escapes as they were sent: they are signed, too.
        url=f"http://{headers.get('Host', '')}{environ['REQUEST_URI']}",
        data=body,
        headers={name: headers[name] for name in signed},
    )
    if stated:
        request.headers["X-Amz-Content-SHA256"] = stated
    request.context["timestamp"] = timestamp
    auth = (_S3Signer if call.signing_name == "s3" else _Signer)(
        Credentials(call.access_key, secret.secret_access_key), call.signing_name, call.region, signed
    )
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if not hmac.compare_digest(expected, call.signature):
        raise call.invalid_signature(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method."
        )


def _is_current(timestamp: str) -> bool:
    try:
        signed_at = datetime.strptime(timestamp, _DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(datetime.now(UTC) - signed_at) <= _TOLERANCE


class _Signer(SigV4Auth):
    """Signs exactly the headers that the caller signed, instead of botocore's choice."""

    def __init__(self, credentials: Credentials, service: str, region: str, signed: list[str]) -> None:
        super().__init__(credentials, service, region)
        self._signed = signed

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        """Return the headers that the caller signed."""
        chosen = HTTPHeaders()
        for name in self._signed:
            chosen[name.lower()] = request.headers[name]
        return chosen

    def payload(self, request: AWSRequest) -> str:
        """Return the hash of the body, which is signed over plain HTTP, too."""
        return hashlib.sha256(request.data or b"").hexdigest()


class _S3Signer(_Signer, S3SigV4Auth):
    """S3 does not escape the path a second time."""
