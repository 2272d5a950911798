"""Names of new buckets must be free: they are global, and terraform plan does not check them."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.run.refusals.planned import Place, planned

NEEDS = "s3:ListBucket"

_NOT_OURS = {301, 403}
_FREE = 404


def problems(plan: Mapping[str, Any], place: Place) -> Iterator[str]:
    """Yield names of new buckets that are taken; one that is replaced keeps its name."""
    names = (each.after.get("bucket") for each in planned(plan, "aws_s3_bucket") if each.is_new and not each.replaces)
    for name in filter(None, names):
        try:
            # A bucket of another account may allow this call, so name the expected owner.
            place.ask("s3", "head_bucket", Bucket=name, ExpectedBucketOwner=place.account_id)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status in _NOT_OURS:
                yield f"Bucket {name} already exists in another account. Choose another bucket_name."
            elif status != _FREE:
                raise
        else:
            yield (
                f"Bucket {name} already exists, but not in this Terraform state. Import it, or name it as "
                "existing_bucket_name."
            )
