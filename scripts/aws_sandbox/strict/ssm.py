"""Systems Manager: versions, size and sharing of documents, and tiers of parameters."""

from __future__ import annotations

from moto.ssm.models import ssm_backends

from aws_sandbox.call import AwsError, Call

# https://docs.aws.amazon.com/general/latest/gr/ssm.html
DOCUMENT_BYTES = 65_536
VERSIONS_PER_DOCUMENT = 1000
ACCOUNTS_PER_DOCUMENT = 1000

# https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
STANDARD_BYTES = 4096
ADVANCED_BYTES = 8192
_STANDARD, _ADVANCED, _INTELLIGENT = "Standard", "Advanced", "Intelligent-Tiering"


def document_size(call: Call) -> None:
    """Reject a document that is too long.

    Raises:
        AwsError: MaxDocumentSizeExceeded.
    """
    if len(call.parameters["Content"].encode()) > DOCUMENT_BYTES:
        raise AwsError("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.")


def document_versions(call: Call) -> None:
    """Reject an update of a document that has as many versions as it may have.

    Raises:
        AwsError: DocumentVersionLimitExceeded.
    """
    documents = ssm_backends[call.account_id][call.region]._documents.get(call.parameters["Name"])  # noqa: SLF001
    if documents and len(documents.versions) >= VERSIONS_PER_DOCUMENT:
        raise AwsError(
            "DocumentVersionLimitExceeded",
            "The document has too many versions. Delete one or more document versions and try again.",
        )


def document_sharing(call: Call) -> None:
    """Reject sharing a document with too many accounts.

    Raises:
        AwsError: DocumentPermissionLimit.
    """
    documents = ssm_backends[call.account_id][call.region]._documents.get(call.parameters["Name"])  # noqa: SLF001
    if documents:
        shared = set(documents.permissions) | set(call.parameters.get("AccountIdsToAdd") or ())
        if len(shared - set(call.parameters.get("AccountIdsToRemove") or ())) > ACCOUNTS_PER_DOCUMENT:
            raise AwsError(
                "DocumentPermissionLimit",
                f"The document can't be shared with more than {ACCOUNTS_PER_DOCUMENT} Amazon Web Services accounts.",
            )


def parameter(call: Call) -> None:
    """Reject a parameter that is too long for its tier, a lower tier than it has, and tags of an existing one.

    Raises:
        AwsError: ValidationException.
    """
    asked = call.parameters
    stored = ssm_backends[call.account_id][call.region]._parameters.get(asked["Name"])  # noqa: SLF001
    old = stored[-1].tier if stored else None
    length = len(asked["Value"].encode())
    tier = asked.get("Tier") or old or _STANDARD
    if tier == _INTELLIGENT:
        tier = _ADVANCED if length > STANDARD_BYTES else old or _STANDARD
    if tier == _STANDARD and length > STANDARD_BYTES:
        raise AwsError(
            "ValidationException",
            f"Standard tier parameters support a maximum parameter value of {STANDARD_BYTES} characters. To create a "
            "larger parameter value, upgrade the parameter to use the advanced-parameter tier.",
        )
    if length > ADVANCED_BYTES:
        raise AwsError(
            "ValidationException",
            f"Advanced tier parameters support a maximum parameter value of {ADVANCED_BYTES} characters.",
        )
    if old == _ADVANCED and tier == _STANDARD:
        raise AwsError(
            "ValidationException",
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the "
            "advanced-parameter tier to the standard-parameter tier.",
        )
    if asked.get("Overwrite") and asked.get("Tags"):
        raise AwsError(
            "ValidationException",
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please "
            "remove overwrite flag.",
        )


REFUSALS = (
    ("ssm:CreateDocument", document_size),
    ("ssm:UpdateDocument", document_size),
    ("ssm:UpdateDocument", document_versions),
    ("ssm:ModifyDocumentPermission", document_sharing),
    ("ssm:PutParameter", parameter),
)
