"""Sessions in the accounts of targets."""

import boto3

from session_manager_fleet.accounts import MANAGEMENT, Account
from session_manager_fleet.aws import assume_role, new_session, role_arn, translated_errors
from session_manager_fleet.settings import DeploymentRole


def account_session(account: Account, region: str, role: DeploymentRole) -> boto3.Session:
    """Return a session in an account, with the deployment role wherever Terraform uses it.

    Raises:
        AccessError: The role cannot be assumed.
    """
    with translated_errors(f"use the AWS credentials for account {account.id}"):
        session = new_session(region)
        session.get_credentials()  # look them up here, where errors are translated
    if account.role == MANAGEMENT and not role.in_management_account:
        return session
    arn = role_arn(account.id, role.name, region)
    return assume_role(session, arn, region, session_name=role.session_name, external_id=role.external_id)
