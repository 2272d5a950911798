"""Read the live state of the log archive, once for all targets."""

from collections.abc import Callable
from dataclasses import dataclass

from session_manager_fleet.accounts import Account
from session_manager_fleet.errors import AccessError
from session_manager_fleet.targets import Inventory
from session_manager_fleet.verify.archive import Archive
from session_manager_fleet.verify.archive_protection import ArchiveProtection, archive_protection
from session_manager_fleet.verify.bucket import Bucket
from session_manager_fleet.verify.bucket_policy import BucketPolicy, bucket_policy
from session_manager_fleet.verify.keys import Key, find_key
from session_manager_fleet.verify.model import APPLY_ARCHIVE, Check, CheckInfo, finding, ok
from session_manager_fleet.verify.reading import Reader, not_checked, run_check, with_facts


@dataclass(frozen=True)
class ArchiveState:
    """Live state of the log archive.

    Attributes:
        region: Its region.
        apply_bucket: Words of the command that creates its bucket; empty for a bucket that existed already.
        key: Key of the bucket, or the check that says why it is unknown.
        policy: Result of the check of the bucket's policy.
        protection: Result of the check of what else protects the bucket.
    """

    region: str
    apply_bucket: tuple[str, ...]
    key: Key | Check
    policy: Check
    protection: Check


def read_archive(inventory: Inventory, archive: Archive) -> ArchiveState:
    """Read the key and check the policy of the log archive's bucket."""
    accounts = inventory.organization.accounts
    owner = next((each for each in accounts if each.id == archive.key_account_id), archive.account)
    key: Key | None = None

    def bucket_key(reader: Reader) -> Check:
        nonlocal key
        key = find_key(reader, archive.region, archive.key)
        if key is None:
            message = f"The key {archive.key} of the log archive does not exist in account {owner.id}."
            if archive.settings.bucket_key.kms_key_arn:
                return finding("bucket", message, "Create the key, or correct log_archive.bucket_key.kms_key_arn.")
            return finding("bucket", message, APPLY_ARCHIVE, archive.apply_command)
        return ok("bucket", f"{key.arn} is {key.state}.")

    def policy(reader: Reader) -> Check:
        if key is None:
            message = "Skipped: the expected bucket policy depends on the bucket's key."
            return Check("bucket_policy", found.verdict, message, found.fix, command=found.command)
        return bucket_policy(reader, archive, key.arn)

    found = _check(inventory, archive.region, owner, Bucket.info, bucket_key)
    return ArchiveState(
        archive.region,
        archive.apply_bucket,
        key or found,
        _check(inventory, archive.region, archive.account, BucketPolicy.info, policy),
        _check(
            *(inventory, archive.region, archive.account, ArchiveProtection.info),
            lambda reader: archive_protection(reader, archive),
        ),
    )


def _check(
    inventory: Inventory, region: str, account: Account, info: CheckInfo, check: Callable[[Reader], Check]
) -> Check:
    """Run a check in an account of the archive."""
    try:
        reader = Reader(inventory.session(account, region))
    except AccessError as error:
        return with_facts(not_checked(info.id, error), info, ())
    return run_check(info, reader, lambda: check(reader))
