"""AWS Organizations.

moto generates random ids for accounts, root and units, has pages of 100 or none, and answers member accounts with empty
lists. Here ids are as configured, pages have 20 entries as in AWS, and only the management account may call.
"""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

from moto.organizations import utils
from moto.organizations.models import OrganizationsBackend, organizations_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.model import SUSPENDED, SandboxOrganization
from aws_sandbox.pages import page
from aws_sandbox.policies import Document

# https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html: at most 20 per page.
PAGE_SIZE = 20
_SCP = "SERVICE_CONTROL_POLICY"


class Organizations:
    """The emulated organization in moto's backend."""

    def __init__(self, organization: SandboxOrganization) -> None:
        self._management_account_id = organization.management_account_id
        for model in utils.PAGINATION_MODEL.values():
            model["limit_default"] = PAGE_SIZE
        self._create(organization)

    @property
    def _backend(self) -> OrganizationsBackend:
        return organizations_backends[self._management_account_id]["aws"]

    def _create(self, organization: SandboxOrganization) -> None:
        backend = self._backend
        with (
            patch.object(utils, "make_random_org_id", lambda: organization.id),
            patch.object(utils, "make_random_root_id", organization.root_id),
            patch.object(utils, "make_random_account_id", lambda: organization.management_account_id),
        ):
            backend.create_organization(region=organization.home_region, FeatureSet="ALL")
        # As in every organization with a landing zone.
        backend.enable_policy_type(RootId=organization.root_id(), PolicyType="SERVICE_CONTROL_POLICY")

        units = {"": organization.root_id()}
        for path in organization.unit_paths():
            units[path] = organization.unit_id(path)
            parent, _, name = path.rpartition("/")
            with patch.object(utils, "make_random_ou_id", lambda _, unit_id=units[path]: unit_id):
                backend.create_organizational_unit(Name=name, ParentId=units[parent])

        for account in organization.accounts:
            if account.id != organization.management_account_id:
                with patch.object(utils, "make_random_account_id", lambda account_id=account.id: account_id):
                    backend.create_account(AccountName=account.name, Email=account.email)
            created = backend.get_account_by_id(account.id)
            created.name, created.email, created.tags = account.name, account.email, dict(account.tags)
            created.parent_id = units[account.ou]
            if account.status == SUSPENDED:
                created.close()
            if account.id == organization.management_account_id and backend.org:
                backend.org.master_account_email = account.email

    def has(self, account_id: str) -> bool:
        """Return whether an account belongs to the organization."""
        return any(account.id == account_id for account in self._backend.accounts)

    def is_active(self, account_id: str) -> bool:
        """Return whether an account is an active member."""
        return any(a.id == account_id and a.state != SUSPENDED for a in self._backend.accounts)

    def control_policies(self, account_id: str) -> list[list[Document]]:
        """Return the service control policies of an account, by level from the root; none bind the management account.

        https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
        """
        holders: dict[str, Any] = {unit.id: unit for unit in self._backend.ou}
        holder = next((account for account in self._backend.accounts if account.id == account_id), None)
        levels: list[list[Document]] = []
        while holder is not None and account_id != self._management_account_id:
            levels.insert(0, [json.loads(each.content or "") for each in holder.attached_policies if each.type == _SCP])
            holder = holders.get(holder.parent_id or "")
        return levels

    def check(self, call: Call) -> None:
        """Reject calls of member accounts and oversized pages.

        Raises:
            AwsError: The error of Organizations.
        """
        if call.service != "organizations":
            return
        if call.account_id != self._management_account_id and call.operation != "DescribeOrganization":
            raise AwsError("AccessDeniedException", "You don't have permissions to access this resource.")
        if int(call.parameters.get("MaxResults") or PAGE_SIZE) > PAGE_SIZE:
            raise AwsError("InvalidInputException", "You specified an invalid value.")

    def list_accounts(self, call: Call) -> dict[str, Any]:
        """Answer ListAccounts page by page; moto describes all accounts for every page."""
        size = int(call.parameters.get("MaxResults") or PAGE_SIZE)
        accounts = sorted(self._backend.accounts, key=lambda account: account.id)
        answer = page("Accounts", accounts, call.parameters.get("NextToken"), size)
        return {**answer, "Accounts": [account.describe() for account in answer["Accounts"]]}

    def list_children(self, call: Call) -> dict[str, Any]:
        """Answer ListChildren page by page; moto returns all children at once."""
        children = self._backend.list_children(**call.parameters)["Children"]
        size = int(call.parameters.get("MaxResults") or PAGE_SIZE)
        return page("Children", children, call.parameters.get("NextToken"), size)
