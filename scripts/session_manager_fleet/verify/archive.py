"""The log archive: its bucket, and the key and policy that are the same for all targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from session_manager_fleet.accounts import LOG_ARCHIVE
from session_manager_fleet.verify.bucket_policy import bucket_policy
from session_manager_fleet.verify.keys import Key, find_key
from session_manager_fleet.verify.model import Check, finding, ok
from session_manager_fleet.verify.reading import Reader, run_check

if TYPE_CHECKING:
    from session_manager_fleet.accounts import Account
    from session_manager_fleet.settings import LogArchive, S3Logging
    from session_manager_fleet.targets import Inventory


@dataclass(frozen=True)
class Archive:
    """The log archive as configured.

    Attributes:
        account: Its account.
        region: Its region.
        organization_id: The organization whose accounts write to it.
        settings: Its settings.
    """

    account: Account
    region: str
    organization_id: str
    settings: LogArchive

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.settings.bucket_in(self.account.id, self.region)

    @property
    def key(self) -> str:
        """Alias of the key that is created with the archive, or ARN of the configured one."""
        return self.settings.bucket_key.kms_key_arn or self.settings.bucket_key.alias

    @property
    def key_account_id(self) -> str:
        """Account of the key."""
        given = self.settings.bucket_key.kms_key_arn
        return given.split(":")[4] if given else self.account.id

    def holds_logs_of(self, s3: S3Logging) -> bool:
        """Tell whether session logs with these settings go to this bucket."""
        return s3.enabled and s3.bucket_name == self.bucket


def archive_account(inventory: Inventory) -> Account | None:
    """Return the log-archive account of an organization, if there is one."""
    return next((account for account in inventory.organization.accounts if account.role == LOG_ARCHIVE), None)


def archive_of(inventory: Inventory) -> Archive | None:
    """Return the log archive of an organization, or None if none is configured."""
    account, settings = archive_account(inventory), inventory.settings.log_archive
    if account is None or settings is None:
        return None
    return Archive(account, inventory.home_region, inventory.settings.organization.id, settings)


@dataclass(frozen=True)
class ArchiveState:
    """Live state of the log archive.

    Attributes:
        key: Key of the bucket, or the check that says why it is unknown.
        policy: Result of the check of the bucket's policy.
    """

    key: Key | Check
    policy: Check


def read_archive(inventory: Inventory, archive: Archive) -> ArchiveState:
    """Read the key and check the policy of the log archive's bucket."""
    key: Key | None = None

    def bucket_key() -> Check:
        nonlocal key
        accounts = inventory.organization.accounts
        owner = next((each for each in accounts if each.id == archive.key_account_id), archive.account)
        reader = Reader(inventory.session(owner, archive.region))
        key = find_key(reader, archive.region, archive.key)
        if key is None:
            message = f"The key {archive.key} of the log archive does not exist in account {owner.id}."
            return finding("bucket", message, "Apply the log archive, or correct its bucket_key.")
        return ok("bucket", f"{key.arn} is {key.state}.")

    def policy() -> Check:
        if key is None:
            message = "Skipped: the expected bucket policy depends on the bucket's key."
            return Check("bucket_policy", found.verdict, message, found.fix)
        return bucket_policy(Reader(inventory.session(archive.account, archive.region)), archive, key.arn)

    found = run_check("bucket", bucket_key)
    return ArchiveState(key or found, run_check("bucket_policy", policy))
