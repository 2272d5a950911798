r"""Make foreign text safe for the place where it is shown; there is one function for each kind of place.

Names of accounts and units, tags, errors of AWS and Terraform, and everything in a journal are foreign: others
chose them. Characters are replaced by their escapes, as `\x1b`, `\u202e` or `\n`, never left out, so that readers see
that something was there. JSON, XML and HTML have escapes of their own, which lose nothing.

| place | function |
| --- | --- |
| a terminal, one line | `visible` |
| a terminal, text with lines | `visible_lines` |
| the log of a CI system | `log_text`, after everything else |
| JSON, XML or HTML that is printed, and may get into such a log | `json_for_logs`, `markup_for_logs` |
| a cell of a spreadsheet | `cell`, `cell_of_lines` |
| Markdown | `escape`, `code` |
| XML | `xml_text` |
| Slack's markup | `slack_text` |

Jinja2 escapes HTML by itself; its templates use `visible` besides.
"""

import re
import unicodedata
from collections.abc import Mapping

_CI_VARIABLES = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "TEAMCITY_VERSION")
# GitHub's runner takes `##[command]` anywhere in a line and `::command::` after leading blanks for commands
# (actions/runner, ActionCommand.cs), Azure Pipelines `##vso[`, TeamCity `##teamcity[`; GitLab folds sections.
_MARKER = re.compile(r"#(?=#(?:vso|teamcity)?\[)|(?<=section)_(?=(?:start|end):)")
_LEADING_COLONS = re.compile(r"^((?:\s|\x1b\[[0-9;]*m)*):(?=:)", re.MULTILINE)

# Spreadsheets calculate cells that begin with these signs, in some locales also what follows a semicolon.
_FORMULA = re.compile(r"(^\s*|;\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001 - spreadsheets take wide signs too
_MARKDOWN = re.compile(r"[&<>*_`\[\]\\|~#@$!]|:(?=/)|(?<=www)\.")
_SLACK = re.compile(r"[*_~`@#]|:(?=//)|(?<=www)[.]")


def visible(text: str) -> str:
    r"""Escape invisible characters and control characters: ESC becomes `\x1b`, U+202E `\u202e`, a newline `\n`."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(letter: str) -> str:
    # Cc: control characters; Cf: joiners and direction marks; Cs, Co, Cn: surrogates, private use, unassigned.
    if unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return letter
    return letter.encode("unicode_escape").decode()


def visible_lines(text: str) -> list[str]:
    """Return the lines of a text, escaped by `visible`."""
    return [visible(line) for line in text.replace("\r\n", "\n").split("\n")]


def writes_log(environment: Mapping[str, str]) -> bool:
    """Tell whether a CI system reads what this process prints."""
    return any(environment.get(name) for name in _CI_VARIABLES)


def log_text(text: str) -> str:
    """Escape what a CI system would take for a command, in output that is complete but for its last line."""
    return _LEADING_COLONS.sub(r"\1\\x3a", _MARKER.sub(lambda found: f"\\x{ord(found[0]):02x}", text))


def json_for_logs(text: str) -> str:
    """Escape the same in JSON, within its strings: their values stay equal."""
    return _MARKER.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def markup_for_logs(text: str) -> str:
    """Escape the same in XML or HTML, as character references."""
    text = _MARKER.sub(lambda found: f"&#{ord(found[0])};", text)
    return _LEADING_COLONS.sub(r"\1&#58;", text)


def cell(text: str) -> str:
    """Return a text as a cell of a spreadsheet: on one line, and no formula."""
    return _FORMULA.sub(r"\1'", visible(text))


def cell_of_lines(text: str) -> str:
    """Return a text with several lines as a cell of a spreadsheet that is no formula."""
    return _FORMULA.sub(r"\1'", "\n".join(visible_lines(text)))


def escape(text: str) -> str:
    """Escape all Markdown and HTML in a text."""
    return _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", text)


def code(text: str) -> str:
    """Return a text in Markdown's code style, in which GitHub does not link names and numbers either."""
    return f"<code>{escape(visible(text))}</code>"


def slack_text(text: str) -> str:
    """Return a text without Slack's markup: no mention, link or format (api.slack.com, "Formatting text")."""
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A zero-width space keeps a sign from being a format; a colon from becoming an emoji, a URL from becoming a link.
    return _SLACK.sub("\\g<0>\u200b", text)


def xml_text(text: str) -> str:
    """Return a text without characters that XML does not allow; the writer of XML escapes the rest."""
    return "\n".join(visible_lines(text))
