"""Answer for thousands of accounts as the emulated organization answered for one: its answers, with the other's id.

A recording has the answers to the calls of one command. The server is a process of its own, and costs a tenth of what
the emulator does: that is what makes thousands of accounts possible on one machine.
"""

from __future__ import annotations

import json
import re
import socketserver
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import psutil
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

# Ids of the accounts that are answered for.
ACCOUNT_IDS = re.compile(rb"(?<!\d)7700000\d{5}(?!\d)")
# Time is no part of what is asked.
_TIMES = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.%A]+Z?|(?<!\d)1\d{9}(\.\d+)?(?!\d)")
_SCOPE = re.compile(rb"Credential=([^/]+)/\d{8}/([^,]+)/aws4_request")
_KEY = re.compile(rb"(?<=<AccessKeyId>)[^<]+")
_LEFT_OUT = {"connection", "content-length", "date", "server", "transfer-encoding"}


def account_id(number: int) -> str:
    """Return the id of one of the accounts."""
    return f"7700000{number:05d}"


def _question(method: bytes, path: bytes, target: bytes, authorization: bytes, body: bytes, recorded: bytes) -> str:
    """Return what is asked, whichever account asks and when."""
    scope = _SCOPE.search(authorization)
    text = b" ".join([method, path, target, scope[2] if scope else b"", body])
    return _TIMES.sub(b"TIME", ACCOUNT_IDS.sub(recorded, text)).decode("latin-1")


@contextmanager
def recorded(account: str) -> Iterator[dict[str, Any]]:
    """Record the answers to all calls of this process that are made in the context.

    Args:
        account: Account that stands for the others.
    """
    send, answers = URLLib3Session.send, {}

    def sent(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        answer = send(session, request)
        url = urlsplit(request.url)
        body = request.body or b""
        asked = _question(
            request.method.encode(),
            f"{url.path or '/'}{'?' if url.query else ''}{url.query}".encode(),
            _text(request.headers.get("X-Amz-Target")),
            _text(request.headers.get("Authorization")),
            _text(body),
            account.encode(),
        )
        headers = [(name, text) for name, text in answer.headers.items() if name.lower() not in _LEFT_OUT]
        content = b64encode(answer.content).decode()
        # What is read of a stream cannot be read again, as the body of an object.
        answer.raw = BytesIO(answer.content)
        answers[asked] = {"status": answer.status_code, "headers": headers, "body": content}
        return answer

    with patch.object(URLLib3Session, "send", sent):
        yield {"account": account, "answers": answers}


def _text(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value or "").encode()


@contextmanager
def replaying(recording: Mapping[str, Any]) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server that answers from a recording; yield its URL and its process."""
    command = [sys.executable, str(Path(__file__))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            server.stdin.write(f"{json.dumps(recording)}\n")
            server.stdin.flush()
            yield f"http://127.0.0.1:{int(server.stdout.readline())}", psutil.Process(server.pid)
        finally:
            server.kill()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, authorization = self.path.encode("latin-1"), self.headers.get("Authorization", "").encode()
        target = self.headers.get("X-Amz-Target", "").encode()
        asked = _question(self.command.encode(), path, target, authorization, body, self.server.account)
        answer = self.server.answers.get(asked)
        if answer is None:
            sys.stderr.write(f"Not recorded: {asked}\n")
            self.send_error(HTTPStatus.NOT_IMPLEMENTED)
            return
        status, headers, content = answer
        # The id is in what is asked, or else in the access key that the stand-in gave.
        found = ACCOUNT_IDS.search(path + body) or ACCOUNT_IDS.search(authorization)
        if found:
            content = _KEY.sub(b"ASIAOFID" + found[0], content.replace(self.server.account, found[0]))
        self.send_response_only(status)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_HEAD = _answer  # noqa: N815 - as http.server has it


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads, request_queue_size = True, 128

    def __init__(self, recording: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.account = recording["account"].encode()
        self.answers = {
            asked: (answer["status"], answer["headers"], b64decode(answer["body"]))
            for asked, answer in recording["answers"].items()
        }


def main() -> None:
    """Print a port, and answer what is asked there until the process is ended; stdin has the recording."""
    server = _Server(json.loads(sys.stdin.readline()))
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
