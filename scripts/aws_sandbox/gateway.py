"""The entry point of the emulator: check every AWS call, then answer it here or through moto."""

from __future__ import annotations

import hmac
import io
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException
from werkzeug.test import run_wsgi_app

from aws_sandbox.call import AwsError, Call, Reply
from aws_sandbox.lock import CallLock
from aws_sandbox.model import CONTROL_PATH, CONTROL_TOKEN_HEADER
from aws_sandbox.signatures import Secret, verify

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Check = Callable[[Call], None]
# None = let moto answer.
Operation = Callable[[Call], Mapping[str, Any] | Reply | None]
Operations = Mapping[tuple[str, str], Operation]
Observer = Callable[[Call, Reply], None]
Control = Callable[[dict[str, Any]], object]

# SDKs send the same id with each attempt of an invocation; a retry follows soon, so few replies are kept.
_INVOCATION = "HTTP_AMZ_SDK_INVOCATION_ID"
_REMEMBERED_REPLIES = 1000
# A package of a function has 50 MB, and a third more in base64.
_LARGEST_BODY = 100 * 1024 * 1024
# As WSGI names the header.
_CONTROL_TOKEN = "HTTP_" + CONTROL_TOKEN_HEADER.upper().replace("-", "_")

log = logging.getLogger(__name__)


class Gateway:
    """Answers requests, most of them through moto.

    Args:
        moto: Answers calls without an operation here.
        lock: Held while a call is answered.
        authority: Host and port of the emulator; requests to another one come from a web page that was misled.
        control_token: Demanded for operations on the emulator itself.
        account_of: Returns the account of an access key, or an empty string.
        secret_of: Returns the secret of the access key of a call.
        checks: Called in order before the operation; each may raise an AwsError.
        operations: Operations answered here, by (service, operation).
        observers: Called in order after every successful call.
        controls: Operations on the emulator itself, for tests and the demo, by method and name under CONTROL_PATH.
    """

    def __init__(
        self,
        moto: WSGIApplication,
        *,
        lock: CallLock,
        authority: str,
        control_token: str,
        account_of: Callable[[str], str],
        secret_of: Callable[[Call], Secret],
        checks: Sequence[Check],
        operations: Operations,
        observers: Sequence[Observer],
        controls: Mapping[tuple[str, str], Control],
    ) -> None:
        self._moto_application = moto
        self._lock = lock
        self._authority = authority
        self._control_token = control_token
        self._account_of = account_of
        self._secret_of = secret_of
        self._checks = checks
        self._operations = operations
        self._observers = observers
        self._controls = controls
        self._replies: OrderedDict[str, Reply] = OrderedDict()

    def reply(self, environ: WSGIEnvironment) -> Reply:
        """Answer one request; always read its body to the end, unless the connection is closed."""
        body = _body(environ)
        if body is None:
            return _plain(413, "RequestEntityTooLarge", "The body is too large.", {"Connection": "close"})
        path = environ.get("PATH_INFO", "")
        if environ.get("HTTP_HOST") != self._authority:
            return _plain(403, "AccessDenied", f"The sandbox answers at {self._authority} only.")
        if path.startswith(CONTROL_PATH):
            if not hmac.compare_digest(environ.get(_CONTROL_TOKEN, "").encode(), self._control_token.encode()):
                return _plain(403, "AccessDenied", f"{CONTROL_TOKEN_HEADER} is not the token of this sandbox.")
            return self._control(environ["REQUEST_METHOD"], path.removeprefix(CONTROL_PATH), body)
        # moto's own administration shows and changes everything, and asks for no credentials.
        if path.startswith("/moto-api"):
            return _plain(404, "NotFound", "The sandbox has no administration of moto.")
        return self._aws(environ, body)

    def _aws(self, environ: WSGIEnvironment, body: bytes) -> Reply:
        started = time.monotonic()
        try:
            call = Call.signed(environ, body)
        except Exception as error:
            log.exception("cannot read a request")
            return _plain(400, "SandboxFailure", f"The sandbox cannot read this request: {error!r}")
        if call is None:
            return _plain(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        invocation = environ.get(_INVOCATION, "")
        with self._lock:
            # A client that lost the response retries; a repeated create operation would fail.
            reply = self._replies.get(invocation) or self._answer(call, environ, body)
            if invocation and environ["REQUEST_METHOD"] != "GET" and reply.status < HTTPStatus.BAD_REQUEST:
                self._replies[invocation] = reply
                if len(self._replies) > _REMEMBERED_REPLIES:
                    self._replies.popitem(last=False)
        log.info("%s %d %.0f ms", call, reply.status, (time.monotonic() - started) * 1000)
        return reply

    def _answer(self, call: Call, environ: WSGIEnvironment, body: bytes) -> Reply:
        """Return the reply; turn every exception into an error of the service."""
        try:
            return self._granted(call, environ, body)
        except ServiceException as error:
            return call.refusal(error)
        except HTTPException as error:
            return Reply(error.code or 400, dict(error.get_headers()), error.get_body().encode())
        # A 4xx error: clients retry server errors for minutes, which is useless for an unsupported operation.
        except NotImplementedError:
            return call.refusal(AwsError("NotImplemented", f"The sandbox does not emulate {call.action}."))
        except Exception as error:
            log.exception("failed: %s", call)
            return call.refusal(
                AwsError("SandboxFailure", f"The sandbox failed in {call.action}: {error!r}; see server.log.")
            )

    def _granted(self, call: Call, environ: WSGIEnvironment, body: bytes) -> Reply:
        """Return the reply to a call that passes all checks."""
        call.account_id = self._account_of(call.access_key)
        if not call.account_id:
            raise call.unknown_credentials()
        verify(call, environ, body, self._secret_of(call))
        for check in self._checks:
            check(call)
        operation = self._operations.get((call.service, call.operation))
        result = operation(call) if operation else None
        if result is None:
            # Otherwise moto searches all accounts for the access key, and KMS keys in the caller's account only.
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = call.owner_account_id
            reply = self._moto(environ, body)
        else:
            reply = result if isinstance(result, Reply) else call.answer(result)
        if reply.status < HTTPStatus.BAD_REQUEST:
            for observe in self._observers:
                observe(call, reply)
        return reply

    def _moto(self, environ: WSGIEnvironment, body: bytes) -> Reply:
        environ["wsgi.input"] = io.BytesIO(body)
        chunks, status, headers = run_wsgi_app(self._moto_application, environ, buffered=True)
        return Reply(int(status.split()[0]), dict(headers.items()), b"".join(chunks))

    def _control(self, method: str, name: str, body: bytes) -> Reply:
        control = self._controls.get((method, name))
        if control is None:
            return _plain(404, "NotFound", f"The sandbox has no {method} {CONTROL_PATH}{name}.")
        try:
            answer = control(json.loads(body or b"{}"))
        except (KeyError, TypeError, ValueError) as error:
            return _plain(400, "ValidationException", f"{method} {CONTROL_PATH}{name} has an invalid body: {error!r}")
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())


def _body(environ: WSGIEnvironment) -> bytes | None:
    """Return the body of a request; None if it is larger than any that AWS takes here, before its caller is known."""
    if environ.pop("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        body: bytes = environ["wsgi.input"].read(_LARGEST_BODY + 1)
        if len(body) > _LARGEST_BODY:
            return None
    else:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if not 0 <= length <= _LARGEST_BODY:
            return None
        body = environ["wsgi.input"].read(length)
    environ["CONTENT_LENGTH"] = str(len(body))
    return body


def _plain(status: int, code: str, message: str, headers: Mapping[str, str] = MappingProxyType({})) -> Reply:
    return Reply(
        status,
        {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code, **headers},
        json.dumps({"__type": code, "message": message}).encode(),
    )
