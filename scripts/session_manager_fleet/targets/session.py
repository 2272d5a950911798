"""Sessions in the accounts of targets."""

import boto3

from session_manager_fleet.accounts import Account
from session_manager_fleet.aws import assume_role, new_session, role_arn, translated_errors
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
    with translated_errors(f"use the AWS credentials for account {account.id}"):
        session = new_session(region)
        session.get_credentials()  # look them up here, where errors are translated
    if not role.is_assumed_in(account):
        return session
    return assume_role(
        session,
        role_arn(account.id, role.name, region),
        region,
        sts_region=home_region,
        session_name=role.session_name,
        external_id=role.external_id,
        duration_seconds=role.duration_seconds,
    )
