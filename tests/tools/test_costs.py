"""docs/costs.md: every computation is right, and uses the prices of its table."""

import re
from math import prod
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "costs.md").read_text(encoding="utf-8")
# Sums of the page's own table, by the parts of an account and region.
SUMS = {2.10: 2.00 + 0.10, 6.10: 6.00 + 0.10, 1.10: 1.00 + 0.10, 3.10: 3.00 + 0.10, 73.00: 5 * 2 * 730 * 0.01}
SUMS |= {3.00: 1.00 + 2 * 1.00, 0.004: 0.003 + 0.001}


def number(text: str) -> float:
    return float(text.replace(",", "").lstrip("$"))


def test_every_line_is_computed_from_the_prices() -> None:
    prices = {
        float(found)
        for row in re.findall(r"^\| [^|]+ \| ([^|]*\d[^|]*) \| \[", PAGE, re.M)
        for found in re.findall(r"\d+\.\d+", row)
    }
    lines = re.findall(r"([\d.,]+(?: \u00d7 \$?[\d.,]+)+) = \$([\d,.]*\d)", PAGE)
    assert len(lines) > 15
    for factors, result in lines:
        *counts, price = factors.split(" \u00d7 ")
        assert f"{prod(map(number, [*counts, price])):.2f}" == f"{number(result):.2f}", factors
        assert number(price) in prices | SUMS.keys(), price
    assert all(abs(total - parts) < 1e-9 for total, parts in SUMS.items())
