"""The front door of the emulator: every AWS call passes its checks, then goes to an addition or to moto."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException
from werkzeug.test import run_wsgi_app

from fleet.sandbox.call import AwsError, Call, Reply
from fleet.sandbox.faults import Fault, Faults
from fleet.sandbox.model import FAULTS_PATH
from fleet.sandbox.turn import Turn

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Check = Callable[[Call], None]
Operation = Callable[[Call], Mapping[str, Any] | Reply]

log = logging.getLogger(__name__)


class Gateway:
    """Answers requests, most of them through moto.

    Args:
        moto: Answers every call that has no operation here.
        turn: Held while a call is answered.
        account_of: Returns the account of an access key, or an empty string.
        checks: Asked in order before anything happens; each may raise an AwsError.
        operations: What is answered here, by (service, operation).
        faults: Failures on demand.
    """

    def __init__(
        self,
        moto: WSGIApplication,
        *,
        turn: Turn,
        account_of: Callable[[str], str],
        checks: Sequence[Check],
        operations: Mapping[tuple[str, str], Operation],
        faults: Faults,
    ) -> None:
        self._moto_application = moto
        self._turn = turn
        self._account_of = account_of
        self._checks = checks
        self._operations = operations
        self._faults = faults

    def reply(self, environ: WSGIEnvironment) -> Reply:
        """Answer one request; its body is read to the end, whatever comes of it."""
        body = _body(environ)
        path = environ.get("PATH_INFO", "")
        if path == FAULTS_PATH:
            return self._set_faults(environ["REQUEST_METHOD"], body)
        if path.startswith("/moto-api"):
            return self._moto(environ, body)
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
        with self._turn:
            reply = self._answer(call, environ, body)
        log.info("%s %d %.0f ms", call, reply.status, (time.monotonic() - started) * 1000)
        return reply

    def _answer(self, call: Call, environ: WSGIEnvironment, body: bytes) -> Reply:
        """Return the answer, whatever happens; an error in the way the service words errors."""
        try:
            return self._granted(call, environ, body)
        except ServiceException as error:
            return call.refusal(error)
        except HTTPException as error:
            return Reply(error.code or 400, dict(error.get_headers()), error.get_body().encode())
        # A client would retry a server error for minutes; what the emulator cannot do, it never can.
        except NotImplementedError:
            return call.refusal(AwsError("NotImplemented", f"The sandbox does not emulate {call.action}."))
        except Exception as error:
            log.exception("failed: %s", call)
            return call.refusal(
                AwsError("SandboxFailure", f"The sandbox failed in {call.action}: {error!r}; see server.log.")
            )

    def _granted(self, call: Call, environ: WSGIEnvironment, body: bytes) -> Reply:
        """Return the answer to a call that passes all checks."""
        call.account_id = self._account_of(call.access_key)
        if not call.account_id:
            raise call.unknown_credentials()
        for check in self._checks:
            check(call)
        operation = self._operations.get((call.service, call.operation))
        if operation is None:
            # moto would search the key in every account again.
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = call.account_id
            return self._moto(environ, body)
        result = operation(call)
        return result if isinstance(result, Reply) else call.answer(result)

    def _moto(self, environ: WSGIEnvironment, body: bytes) -> Reply:
        environ["wsgi.input"] = io.BytesIO(body)
        chunks, status, headers = run_wsgi_app(self._moto_application, environ, buffered=True)
        return Reply(int(status.split()[0]), dict(headers.items()), b"".join(chunks))

    def _set_faults(self, method: str, body: bytes) -> Reply:
        if method == "DELETE":
            self._faults.clear()
            return Reply(204, {}, b"")
        self._faults.add(Fault(**json.loads(body)))
        return Reply(201, {}, b"")


def _body(environ: WSGIEnvironment) -> bytes:
    if environ.pop("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        body: bytes = environ["wsgi.input"].read()
    else:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["CONTENT_LENGTH"] = str(len(body))
    return body


def _plain(status: int, code: str, message: str) -> Reply:
    return Reply(
        status,
        {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code},
        json.dumps({"__type": code, "message": message}).encode(),
    )
