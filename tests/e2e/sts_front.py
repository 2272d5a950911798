"""A server between clients and the emulator: STS with web identities or behind a private CA, and container credentials.

The emulator answers under its own address and checks signatures, so a call of STS is signed again for it.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CREDENTIALS_PATH = "/credentials"
_ISSUED = re.compile(
    r"<AccessKeyId>(.*?)</AccessKeyId>.*?<SecretAccessKey>(.*?)</SecretAccessKey>.*?<SessionToken>(.*?)</SessionToken>",
    re.DOTALL,
)
_WEB_IDENTITY = """\
<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>{AccessKeyId}</AccessKeyId><SecretAccessKey>{SecretAccessKey}</SecretAccessKey>
<SessionToken>{SessionToken}</SessionToken><Expiration>{Expiration:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>
<AssumedRoleUser><Arn>{Arn}</Arn><AssumedRoleId>AROA:web</AssumedRoleId></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Give the credentials of a container to those who have its token."""
        known = self.path == CREDENTIALS_PATH and self.headers.get("Authorization") == self.server.token
        self._answer(200 if known else 403, json.dumps(self.server.container() if known else {}), "application/json")

    def do_POST(self) -> None:
        """Answer a call of STS."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        question = {name: values[0] for name, values in parse_qs(body).items()}
        if question["Action"] == "AssumeRoleWithWebIdentity":
            if question["WebIdentityToken"] != self.server.token:
                self._answer(400, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>")
                return
            self._answer(200, self.server.web_identity(question["RoleArn"], question["RoleSessionName"]))
            return
        status, text = self.server.forward(body, self.headers["Authorization"])
        self._answer(status, text)

    def _answer(self, status: int, text: str, kind: str = "text/xml") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    def __init__(self, endpoint: str, access_key: str, secret_key: str, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.calls: list[str] = []
        self._endpoint = endpoint
        self._sts = boto3.client(
            "sts",
            endpoint_url=endpoint,
            region_name="eu-west-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token="",
        )
        self._known = {access_key: Credentials(access_key, secret_key)}

    def web_identity(self, role_arn: str, session_name: str) -> str:
        """Assume a role, and return the answer of AssumeRoleWithWebIdentity."""
        self.calls.append("AssumeRoleWithWebIdentity")
        given = self._sts.assume_role(RoleArn=role_arn, RoleSessionName=session_name)
        return self._learnt(_WEB_IDENTITY.format(**given["Credentials"], Arn=given["AssumedRoleUser"]["Arn"]))

    def container(self) -> dict[str, str]:
        """Return credentials as a container gets them."""
        self.calls.append("container")
        given = self._sts.assume_role(RoleArn=self.container_role, RoleSessionName="container")["Credentials"]
        self._known[given["AccessKeyId"]] = Credentials(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        )
        return {
            "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"],
            "Token": given["SessionToken"],
            "Expiration": f"{given['Expiration']:%Y-%m-%dT%H:%M:%SZ}",
        }

    container_role = ""

    def forward(self, body: str, authorization: str) -> tuple[int, str]:
        """Sign a call for the emulator, and return its answer."""
        match = re.search(r"Credential=([^/]+)/[0-9]+/([^/]+)/", authorization)
        assert match is not None, authorization
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = AWSRequest("POST", f"{self._endpoint}/", headers, body)
        SigV4Auth(self._known[match[1]], "sts", match[2]).add_auth(request)
        answer = requests.post(f"{self._endpoint}/", data=body, headers=dict(request.headers), timeout=30)
        self.calls.append(parse_qs(body)["Action"][0])
        return answer.status_code, self._learnt(answer.text)

    def _learnt(self, answer: str) -> str:
        if match := _ISSUED.search(answer):
            self._known[match[1]] = Credentials(match[1], match[2], match[3])
        return answer


@contextmanager
def sts_front(
    endpoint: str, access_key: str, secret_key: str, *, token: str = "", certificate: Path | None = None
) -> Iterator[tuple[str, _Server]]:
    """Serve until the end of the block; yield the address and the server.

    Args:
        endpoint: Address of the emulator.
        access_key: Access key of an administrator, who assumes the roles of web identities.
        secret_key: Its secret.
        token: The only token that is accepted.
        certificate: File with the server's certificate and key; None for plain HTTP.
    """
    server = _Server(endpoint, access_key, secret_key, token)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
