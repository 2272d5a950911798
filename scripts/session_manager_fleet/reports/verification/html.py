"""A verification as a self-contained HTML page: heat map, trend, findings with their cure, filters and search."""

import json
from collections.abc import Mapping
from typing import Any

import jinja2

from session_manager_fleet.reports.page import asset, digest, environment
from session_manager_fleet.reports.safe_text import json_for_logs, markup_for_logs, visible
from session_manager_fleet.reports.text import action_counts, counted
from session_manager_fleet.reports.verification.groups import (
    ACCOUNT,
    GENERATED,
    HOME_REGION,
    ID,
    REGION,
    by_unit,
    common,
    groups,
)
from session_manager_fleet.reports.verification.text import comparison_line, totals_line, verdict_words
from session_manager_fleet.run import Summary
from session_manager_fleet.verify import Severity, Verdict, Verification, VerifiedCheck, VerifiedTarget

# Targets that a finding names in the page itself; the heat map shows all.
_NAMES = 100
# Findings with a card of their own.
_CARDS = 500
# Marks of the cells, beside their colours.
_MARKS = {"critical": "!!", "high": "!", "medium": "▲", "low": "△", "not checked": "?", "ok": "✓", "not needed": "-"}
_WORST = ("critical", "high", "not checked", "medium", "low", "ok", "not needed")


def verification_page(verification: Verification, plan: Summary | None = None) -> str:
    """Return the page; it loads nothing from a server, and no name or error message can run as code.

    Its Content-Security-Policy allows only its own script and style sheet, by digest. Without scripts, the findings,
    the heat map by unit and everything else can be read; accounts, filters and details are missing.

    Args:
        verification: The result.
        plan: A planned run, whose change sets are shown beside the findings; None for none.
    """
    style = asset("report.css") + asset("verification.css")
    script = asset("verification.js")
    found = groups(verification.targets, {Verdict.FINDING, Verdict.NOT_CHECKED})
    template = _environment().get_template("verification.html.j2")
    page = template.render(
        verification=verification,
        plan=plan,
        outcome=totals_line(verification),
        comparison=comparison_line(verification),
        worst=_worst_of_all(verification),
        groups=found,
        names=_NAMES,
        cards=_CARDS,
        units=_units(verification),
        regions=sorted({target.region for target in verification.targets}),
        failed=[target for target in verification.targets if target.failure],
        marks=_MARKS,
        trend=_trend(verification),
        data=_data(verification),
        style=style,
        script=script,
        style_digest=digest(style),
        script_digest=digest(script),
    )
    return markup_for_logs(page)


def _worst(words: list[str]) -> str:
    return min(words, key=_WORST.index, default="")


def _worst_of_all(verification: Verification) -> str:
    words = [verdict_words(check) for target in verification.targets for check in target.checks]
    return _worst([*words, *("not checked" for target in verification.targets if target.failure)]) or "ok"


def _units(verification: Verification) -> list[dict[str, Any]]:
    """Return the heat map by unit: for each check the worst result and the number of targets that have a problem."""
    rows = []
    for unit, targets in by_unit(verification.targets).items():
        cells: dict[str, list[VerifiedCheck]] = {}
        for target in targets:
            for check in target.checks:
                cells.setdefault(check.name, []).append(check)
        rows.append(
            {
                "name": visible(unit) or "(root)",
                "accounts": len({target.account_id for target in targets}),
                "cells": [_cell(cells.get(each.id, [])) for each in verification.checks],
            }
        )
    return rows


def _cell(checks: list[VerifiedCheck]) -> tuple[str, int]:
    return _worst([verdict_words(check) for check in checks]), sum(check.is_wrong for check in checks)


def _trend(verification: Verification) -> list[dict[str, Any]]:
    """Return the bars of the trend: for each run the number of findings by severity, as parts of the most."""
    totals = [sum(point.findings.values()) + point.not_checked for point in verification.trend]
    most = max([*totals, 1])
    bars = []
    for point, total in zip(verification.trend, totals, strict=True):
        parts, below = [], 0.0
        numbers = {each.value: point.findings.get(each.value, 0) for each in Severity}
        for name, number in (numbers | {"not checked": point.not_checked}).items():
            if number:
                height = 100 * number / most
                below += height
                parts.append((name, number, round(100 - below, 2), round(height, 2)))
        bars.append({"point": point, "total": total, "parts": parts})
    return bars


def _data(verification: Verification) -> str:
    """Return what the script shows, as JSON without any character that ends a script element."""
    columns = {check.id: number for number, check in enumerate(verification.checks)}
    known: dict[tuple[object, ...], int] = {}
    results: list[list[object]] = []
    units = {unit: number for number, unit in enumerate(by_unit(verification.targets))}

    def cell(check: VerifiedCheck, target: VerifiedTarget) -> list[object]:
        shared = common(check, target)
        message = "\n".join([shared.message, *shared.exceptions])
        key = (check.name, check.verdict, check.severity, message, shared.fix, shared.command, shared.evidence)
        if key not in known:
            known[key] = len(results)
            lines = [message, shared.fix or "", shared.command or "", *shared.evidence]
            results.append([columns[check.name], verdict_words(check), *map(_shown, lines)])
        ids = ID.findall("\n".join([check.message, check.fix or "", check.command or "", *check.evidence]))
        seen = f"{check.first_seen:%Y-%m-%d}" if check.history == "open" and check.first_seen else ""
        extra = [check.history or "", seen, *ids]
        return [known[key], *extra] if any(extra) else [known[key]]

    targets = []
    for target in verification.targets:
        cells: list[object] = [0] * len(columns)
        for check in target.checks:
            made = cell(check, target)
            cells[columns[check.name]] = made if len(made) > 1 else made[0]
        ran = {columns[check.name] for check in target.checks}
        cells = [each if number in ran else -1 for number, each in enumerate(cells)]
        name = visible(target.account_name)
        place = [target.account_id, name, units[target.ou], target.region, target.home_region]
        targets.append([*place, _shown(target.failure or ""), cells])
    data = {
        "checks": [[check.id, check.what, check.why, list(check.controls)] for check in verification.checks],
        "units": [visible(unit) or "(root)" for unit in units],
        "results": results,
        "targets": targets,
        "marks": _MARKS,
        "worst": _WORST,
        "placeholders": [ACCOUNT, REGION, HOME_REGION, GENERATED],
    }
    text = json_for_logs(json.dumps(data, separators=(",", ":")))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _shown(text: str) -> str:
    return "\n".join(visible(line) for line in text.split("\n"))


def _environment() -> jinja2.Environment:
    filters: Mapping[str, object] = {
        "counted": counted,
        "action_counts": action_counts,
        "verdict": verdict_words,
    }
    return environment(filters)
