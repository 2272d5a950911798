"""Say in words what a pattern of the settings allows."""

import re

_CHARACTERS = re.compile(r"\^\[(?P<allowed>.+)\]\{(?P<least>\d+),(?P<most>\d+)\}\$")
_SINGLE = re.compile(r"A-Z|a-z|0-9|\\.|.")

# Parts of patterns with an example of the whole, the more specific ones first.
_FORMS = (
    (
        "([0-9]{12}|[*]):role/",
        "write the ARN of a role, with * and ? as wildcards, such as arn:aws:iam::*:role/Emergency-*",
    ),
    (":iam::", "write the ARN of a role, such as arn:aws:iam::111122223333:role/Auditor"),
    (
        ":destination:",
        "write the ARN of a stream, function or destination: arn:aws:logs:eu-west-1:111122223333:destination:x",
    ),
    (":kms:", "write the ARN of a key, such as arn:aws:kms:eu-west-1:111122223333:key/<id>"),
    ("(-[A-Z]{2})?$", "write the id of a managed data identifier, such as EmailAddress or PassportNumber-US"),
    ("^[^:*", "write a name without colons, stars and blanks"),
    (":sns:", "write the ARN of a topic, such as arn:aws:sns:eu-west-1:111122223333:alerts"),
    ("^alias/", "write an alias, such as alias/session-manager/data"),
    ("^(r-", "write the id of the root, of a unit or of an account: r-ab12, ou-ab12-cdefgh34 or 111122223333"),
    ("^[0-9]{12}$", "write the twelve digits of an account id"),
    ("^o-", "write an organization id, such as o-exampleorgid"),
    ("[hms]", "write a duration, such as 1h or 1h30m"),
    ("rate", "write a schedule, such as rate(1 hour) or cron(0 3 * * ? *)"),
    ("^[a-z]{2,}(-", "write a region, such as eu-west-1"),
    ("^/(", "write a path that begins and ends with a slash, such as /platform/"),
    ("^(/", "write a name that begins with a slash, such as /session-manager/key"),
    ("^(mrk-", "write a key id"),
    ("^[a-z0-9][a-z0-9", "write a bucket name: 3 to 63 lower-case letters, digits, dots or hyphens"),
    (")*[A-Za-z0-9+=,.@_-]{1,64}$", "write the name of a role, or its path and name, such as platform/Deploy; no ARN"),
    ("^([A-Za-z0-9_.=-]+(/", "write a prefix without a slash at either end, such as sessions/prod"),
    ("^[A-Za-z0-9_-]+(/", "write a prefix without a slash at either end, such as session-manager"),
    ("^$|", "write the name of an operating system user, such as operator"),
    ("\\S", "write a text that is not blank"),
    ("[^\\x00-", "write a path without control characters"),
    ("%", "write a number, or a percentage such as 5%"),
)


def described(pattern: str) -> str:
    """Return what to write for a pattern, as an imperative without its full stop; empty for an unknown one."""
    for part, text in _FORMS:
        if part in pattern:
            return text
    match = _CHARACTERS.fullmatch(pattern)
    if match is None:
        return ""
    names = {"A-Z": "", "a-z": "letters", "0-9": "digits"}
    parts = _SINGLE.findall(match["allowed"])
    words = [names[part] for part in parts if names.get(part)]
    signs = " ".join("space" if part == " " else part for part in parts if part not in names)
    allowed = ", ".join([*words, *([signs] if signs else [])])
    return f"use {match['least']} to {match['most']} of these characters: {allowed}"
