"""Where logs go, on the pages about nodes and central logging: the settings load, and come to what is said."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from session_manager_fleet.accounts.model import Account, Organization
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings import Settings

DOCS = Path(__file__).parents[3] / "docs"


def blocks(page: str, heading: str) -> list[str]:
    """Return the YAML blocks below a heading of the second level."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", (DOCS / page).read_text(encoding="utf-8"), re.S | re.M)
    assert section, heading
    return re.findall(r"```yaml\n(.*?)```", section[1], re.DOTALL)


def test_the_settings_of_the_page_of_nodes(
    make_settings: Callable[[str], Settings], organization: Organization
) -> None:
    where, documents = blocks("nodes.md", "Where logs go")
    settings = make_settings(where + documents)
    payments = organization.accounts[1]

    home, other = (
        settings.effective(payments, region).values.preferences.cloudwatch for region in ("eu-west-1", "us-east-1")
    )
    assert home.subscription
    assert home.subscription.creates_role
    assert other.subscription is None
    assert home.data_protection
    assert home.data_protection == other.data_protection
    assert settings.file.guardrails
    assert settings.file.guardrails.logged_session_documents == ["Team-Shell"]


def test_a_bucket_per_region(make_settings: Callable[[str], Settings], organization: Organization) -> None:
    (text,) = blocks("central-logging.md", "A bucket per region")
    settings = make_settings(text.replace("    ap-south-1", "    # ap-south-1"))
    s3 = settings.effective(organization.accounts[1], "us-east-1").values.preferences.s3
    assert s3.bucket_name == "session-manager-logs-444455556666-us-east-1"


def test_destinations_of_other_regions_and_accounts_are_refused(make_settings: Callable[[str], Settings]) -> None:
    arns = {
        "arn:aws:logs:us-east-1:444455556666:destination:x": "must be of eu-west-1, where the log group is",
        "arn:aws:kinesis:eu-west-1:444455556666:stream/x": "may be in another account",
    }
    for arn, message in arns.items():
        text = f"defaults: {{preferences: {{cloudwatch: {{subscription: {{destination_arn: '{arn}'}}}}}}}}\n"
        settings = make_settings(text)

        with pytest.raises(InputError, match=message):
            settings.effective(Account("111122223333", "Payments"), "eu-west-1")
