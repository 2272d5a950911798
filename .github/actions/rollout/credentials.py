#!/usr/bin/env python3
"""Print AWS credentials of a role for a GitHub job, as a `credential_process` of an AWS profile does.

A job may ask for an OpenID Connect token as long as it runs, so SDKs renew the credentials before they end.
"""

import argparse
import json
import os
import sys
import urllib.parse
import urllib.request

import boto3
from botocore import UNSIGNED
from botocore.config import Config

_AUDIENCE = "sts.amazonaws.com"


def identity_token() -> str:
    """Return a new token that says which repository, event and environment this job belongs to.

    Raises:
        KeyError: The job does not have the permission `id-token: write`.
    """
    url = os.environ["ACTIONS_ID_TOKEN_REQUEST_URL"] + "&" + urllib.parse.urlencode({"audience": _AUDIENCE})
    headers = {"Authorization": f"Bearer {os.environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    # GitHub's own address, from the environment of the job.
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:  # noqa: S310
        return str(json.load(answer)["value"])


def main() -> int:
    """Return 0 with the credentials on standard output, 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", required=True)
    parser.add_argument("--region", required=True)
    arguments = parser.parse_args()
    try:
        token = identity_token()
    except KeyError:
        print("This job gets no identity token: give it `permissions: id-token: write`.", file=sys.stderr)  # noqa: T201
        return 1
    sts = boto3.client("sts", region_name=arguments.region, config=Config(signature_version=UNSIGNED))
    credentials = sts.assume_role_with_web_identity(
        RoleArn=arguments.role,
        RoleSessionName=f"github-{os.environ.get('GITHUB_RUN_ID', 'job')}",
        WebIdentityToken=token,
    )["Credentials"]
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    printed = {name: credentials[name] for name in names}  # type: ignore[literal-required]
    expiration = credentials["Expiration"].isoformat()
    print(json.dumps({"Version": 1, **printed, "Expiration": expiration}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
