"""The caller's credentials: found once for this process, and handed to children as variables, so that all are one."""

import datetime
import getpass
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import botocore.credentials
import botocore.exceptions
import botocore.session

from session_manager_fleet.errors import AccessError, InputError

_PROFILES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# Each makes an SDK look for credentials of its own, or says something of those that it would find.
_REPLACED = frozenset(
    {*_PROFILES, *_KEYS, "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION"}
    | {"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE"}
    | {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"}
    | {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"}
)
# Settings of a profile that say where calls go, and the variables that say the same.
_SETTINGS = {
    "endpoint_url": "AWS_ENDPOINT_URL",
    "ignore_configured_endpoint_urls": "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "use_fips_endpoint": "AWS_USE_FIPS_ENDPOINT",
    "use_dualstack_endpoint": "AWS_USE_DUALSTACK_ENDPOINT",
}

_lock = threading.Lock()
# What is renewed by itself, by the variables that it was found with. The rest is read again: files may be replaced.
_found: dict[tuple[tuple[str, str], ...], botocore.credentials.RefreshableCredentials] = {}
_asked: set[int] = set()


def looked_up_with() -> tuple[tuple[str, str], ...]:
    """Return the variables that decide where botocore looks for credentials and settings."""
    return tuple(sorted((name, text) for name, text in os.environ.items() if name == "HOME" or name[:4] == "AWS_"))


def are_lasting() -> bool:
    """Tell whether the credentials stay those that they are: given as variables, or known and renewed by themselves.

    Others are read from files, which may be replaced.
    """
    return _KEYS[0] in os.environ or looked_up_with() in _found


def share_credentials(session: botocore.session.Session) -> None:
    """Let a session of botocore use the credentials of this process; they are looked up at its first call.

    Raises:
        InputError: The variables name two profiles.
    """
    default, named = (os.environ.get(name) for name in _PROFILES)
    if default and named and default != named:
        message = (
            f'AWS_DEFAULT_PROFILE is "{default}" and AWS_PROFILE is "{named}", and AWS SDKs differ in which they use: '
            "unset one of them."
        )
        raise InputError(message)
    chain = session.get_component("credential_provider")
    session.register_component("credential_provider", botocore.credentials.CredentialResolver([_Shared(chain)]))


def unrenewable_end(credentials: botocore.credentials.Credentials) -> datetime.datetime | None:
    """Return when credentials for which a code was asked are of no use any more; None for others.

    botocore wants to renew credentials ten minutes before they end, and asks for no second code.
    """
    if id(credentials) not in _asked:
        return None
    ends: datetime.datetime = credentials._expiry_time  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public
    return ends - datetime.timedelta(minutes=10)


class _Shared(botocore.credentials.CredentialProvider):
    """Gives every session the same credentials."""

    METHOD = "shared"

    def __init__(self, chain: botocore.credentials.CredentialResolver) -> None:
        self._chain = chain

    def load(self) -> botocore.credentials.Credentials | None:
        """Return the credentials that were found before, or those that botocore's own chain finds."""
        key = looked_up_with()
        with _lock:
            if known := _found.get(key):
                return known
            codes: list[str] = []

            def ask(prompt: str) -> str:
                codes.append(prompt)
                return _ask_code(prompt)

            # botocore has no public way to say who asks.
            self._chain.get_provider("assume-role")._prompter = ask  # type: ignore[attr-defined]  # noqa: SLF001
            credentials = self._chain.load_credentials()
            if isinstance(credentials, botocore.credentials.RefreshableCredentials):
                credentials.get_frozen_credentials()  # ask for a code now, and once
                _found[key] = credentials
                if codes:
                    _asked.add(id(credentials))
            return credentials


def _ask_code(prompt: str) -> str:
    """Ask for the code of an MFA device.

    Raises:
        AccessError: There is no terminal, or no code.
    """
    if sys.stdin.isatty():
        with suppress(EOFError):
            return getpass.getpass(prompt)
        message = f'No code was given to "{prompt.strip().rstrip(":")}".'
    else:
        message = (
            f'The AWS profile asks "{prompt.strip().rstrip(":")}", and standard input is not a terminal: run `aws '
            "configure export-credentials --format env` in one, and set the variables that it prints."
        )
    raise AccessError(message)


def with_credentials(environment: Mapping[str, str], session: botocore.session.Session) -> dict[str, str]:
    """Return the environment of a child that acts as the caller, with the credentials as they are now.

    Args:
        environment: The environment; whatever names other credentials is left out.
        session: A session with the credentials of this process.

    Raises:
        AccessError: There are no credentials.
        BotoCoreError, ClientError: They cannot be found or renewed.
    """
    # Not `get_credentials`, with which the session would keep what it found once.
    credentials = session.get_component("credential_provider").load_credentials()
    if credentials is None:
        raise AccessError("There are no AWS credentials; set AWS_PROFILE or sign in.")
    frozen = credentials.get_frozen_credentials()
    child = {name: value for name, value in environment.items() if name not in _REPLACED}
    keys = zip(_KEYS, (frozen.access_key, frozen.secret_key, frozen.token), strict=True)
    return {**_profile_settings(session, environment), **child, **{name: value for name, value in keys if value}}


def _profile_settings(session: botocore.session.Session, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the profile says of where calls go, as variables; the child has no profile."""
    profile = session.get_scoped_config()
    found = {name: profile[key] for key, name in _SETTINGS.items() if isinstance(profile.get(key), str)}
    if isinstance(bundle := profile.get("ca_bundle"), str):
        found["AWS_CA_BUNDLE"] = str(Path.cwd() / Path(bundle).expanduser())
    services: Mapping[str, Any] = session.full_config.get("services", {}).get(profile.get("services"), {})
    # A variable for all services goes before the profile's setting for one.
    if "AWS_ENDPOINT_URL" not in environment:
        for service, settings in services.items():
            if isinstance(settings, Mapping) and "endpoint_url" in settings:
                found[f"AWS_ENDPOINT_URL_{service.upper()}"] = settings["endpoint_url"]
    return found
