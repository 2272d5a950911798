"""Sessions and credentials in the accounts of targets."""

import boto3
from botocore.credentials import Credentials

from session_manager_fleet.accounts import Account
from session_manager_fleet.aws import new_session, role_arn, role_credentials, session_with, translated_errors
from session_manager_fleet.settings import AccountRole


def account_session(account: Account, region: str, home_region: str, role: AccountRole) -> boto3.Session:
    """Return a session in an account, with a role wherever Terraform uses it, or else with the caller's credentials.

    Args:
        account: The account.
        region: Default region of clients.
        home_region: Region whose STS endpoint is asked: that of an opt-in region accepts only callers whose own account
            has enabled the region.
        role: The role.

    Raises:
        AccessError: The role cannot be assumed.
    """
    caller = caller_session(account, region)
    if not role.is_assumed_in(account):
        return caller
    credentials, arn = assumed(caller, account, region, home_region, role)
    return session_with(credentials, lambda: arn, region)


def caller_session(account: Account, region: str) -> boto3.Session:
    """Return a session with the caller's credentials, which are looked up now.

    Args:
        account: The account that it is made for, for errors.
        region: Default region of clients.

    Raises:
        AccessError: There are no usable credentials.
    """
    with translated_errors(f"use the AWS credentials for account {account.id}"):
        session = new_session(region)
        session.get_credentials()  # look them up here, where errors are translated
    return session


def assumed(
    caller: boto3.Session, account: Account, region: str, home_region: str, role: AccountRole
) -> tuple[Credentials, str]:
    """Return the credentials of a role in an account, and its ARN; see `account_session`.

    Raises:
        AccessError: The role cannot be assumed.
    """
    arn = role_arn(account.id, role.name, region)
    credentials = role_credentials(
        caller,
        arn,
        sts_region=home_region,
        session_name=role.session_name,
        external_id=role.external_id,
        duration_seconds=role.duration_seconds,
    )
    return credentials, arn
