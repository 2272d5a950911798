"""The log archive as configured."""

from dataclasses import dataclass

from session_manager_fleet.accounts import LOG_ARCHIVE, Account
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

    @property
    def apply_command(self) -> tuple[str, ...]:
        """The words of the command that applies its target."""
        return ("apply", "--account", self.account.id, "--region", self.region)

    @property
    def apply_bucket(self) -> tuple[str, ...]:
        """The words of the command that creates its bucket; empty for a bucket that existed already."""
        return () if self.settings.existing_bucket_name else self.apply_command

    def holds_logs_of(self, s3: S3Logging) -> bool:
        """Tell whether session logs with these settings go to this bucket."""
        return s3.enabled and s3.bucket_name == self.bucket


def archive_account(inventory: Inventory) -> Account | None:
    """Return the log-archive account of an organization, if there is one."""
    return next((account for account in inventory.organization.accounts if account.role == LOG_ARCHIVE), None)


def archives_of(inventory: Inventory) -> list[Archive]:
    """Return the log archive of an organization in each of its regions, the home region first; empty without one."""
    account, settings = archive_account(inventory), inventory.settings.log_archive
    if account is None or settings is None:
        return []
    organization_id = inventory.settings.organization.id
    return [
        Archive(account, region, organization_id, settings.in_region(region))
        for region in (inventory.home_region, *settings.regions)
    ]


def archive_of(inventory: Inventory, s3: S3Logging) -> Archive | None:
    """Return the log archive that session logs with these settings go to, or None if they go elsewhere."""
    return next((archive for archive in archives_of(inventory) if archive.holds_logs_of(s3)), None)
