"""Say why an account refused terraform: the role, the region, a service control policy or the credentials."""

import re
from collections.abc import Sequence

from session_manager_fleet.aws import SCP_DENIES, is_opt_in, service_control_policy
from session_manager_fleet.targets import Target

# Errors of terraform's S3 backend and of the AWS provider when the account cannot be entered, or a region of it.
_ACCESS = re.compile(
    r"Cannot assume IAM Role|No valid credential sources|sts:AssumeRole|ExpiredToken|InvalidClientTokenId"
    r"|UnrecognizedClientException|AuthFailure|RegionDisabledException|SignatureDoesNotMatch|InvalidAccessKeyId|InvalidToken"
    r"|AWS account ID not allowed|The credentials are those of account"
    rf"|{SCP_DENIES}"
)
_EXPIRED = re.compile(r"ExpiredToken|RequestExpired")
_REFUSED = re.compile(r"InvalidClientTokenId|UnrecognizedClientException|AuthFailure")
_ENTERING = re.compile(r"Cannot assume IAM Role|STS: AssumeRole|sts:AssumeRole")


def is_refusal(diagnostics: Sequence[str]) -> bool:
    """Tell whether terraform's errors say that the account, or the region of it, cannot be entered."""
    return any(_ACCESS.search(text) for text in diagnostics)


def why_refused(target: Target, diagnostics: Sequence[str]) -> str:
    """Return why the account refused terraform, and what to do, as sentences."""
    text = "\n".join(diagnostics)
    account, region, home = target.account.id, target.region, target.home_region
    if _EXPIRED.search(text):
        return "The AWS credentials have expired; sign in again, and resume the run."
    if SCP_DENIES in text:
        return service_control_policy(region)
    entering = _ENTERING.search(text) is not None
    if "RegionDisabledException" in text:
        return (
            f"The account {account} has deactivated STS in {home}: activate it in the IAM console of the account, "
            "under Account settings, or use another home region."
        )
    if entering and _REFUSED.search(text) and is_opt_in(home):
        return (
            f"STS in {home} does not accept the caller's credentials: either the region is not enabled in the caller's "
            "account, or the credentials are wrong."
        )
    if not entering and _REFUSED.search(text) and is_opt_in(region):
        return (
            f"The region {region} is not enabled in account {account}: the role was assumed, and {region} does not "
            f"know its credentials. Run `aws account enable-region --region-name {region}` there, or leave the region "
            "out (`regions` in an override)."
        )
    return "The role in the account could not be assumed."
