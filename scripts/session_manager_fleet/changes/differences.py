"""Find the differences between two values of a resource, as terraform's plans hold them."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

# JSON inside JSON is read down to this depth; below it is compared as text.
_DEEPEST = 64


@dataclass(frozen=True)
class Mark:
    """Stand for a value that is not shown; `hidden` only serves to compare two of them."""

    kind: Literal["unknown", "sensitive"]
    hidden: str = ""


@dataclass(frozen=True)
class JsonText:
    """A text that is a JSON object or array."""

    text: str
    value: Any


class Inside:
    """A step of a path: into the JSON document that a text holds."""


INSIDE = Inside()
Path = tuple[str | int | Inside, ...]
Difference = tuple[Path, Any, Any]


def marked(value: Any, unknown: Any, sensitive: Any) -> Any:  # noqa: ANN401 - attributes are any JSON
    """Replace unknown and sensitive values by marks, and texts that are JSON by their content.

    Args:
        value: A resource before or after the change, as `terraform show -json` gives it.
        unknown: Values not known yet: `true`, or an object or list with such marks inside.
        sensitive: Values that must not be shown, in the same form.
    """
    if sensitive is True:
        return None if value is None and not unknown else Mark("sensitive", _canonical(value))
    if unknown is True:
        return Mark("unknown")
    if isinstance(unknown, list) or isinstance(value, list):
        lists = [_list(value), _list(unknown), _list(sensitive)]
        length = max(len(lists[0]), len(lists[1]))
        return [marked(*(_at(items, index) for items in lists)) for index in range(length)]
    if isinstance(value, dict) or (isinstance(unknown, dict) and unknown):
        values, unknowns, secrets = _dict(value), _dict(unknown), _dict(sensitive)
        return {key: marked(values.get(key), unknowns.get(key), secrets.get(key)) for key in {**values, **unknowns}}
    return _read(value) if isinstance(value, str) else value


def _list(value: Any) -> list[Any]:  # noqa: ANN401
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:  # noqa: ANN401
    return value if isinstance(value, dict) else {}


def _at(items: list[Any], index: int) -> Any:  # noqa: ANN401
    return items[index] if index < len(items) else None


def _read(text: str, depth: int = 0) -> str | JsonText:
    """Return the JSON object or array in a text if reading it loses nothing, else the text."""
    if text.lstrip()[:1] not in {"{", "["}:
        return text
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_float=_exact, parse_constant=_refuse)
        return JsonText(text, _nested(value, depth))
    except (ValueError, RecursionError):
        return text


def _nested(value: Any, depth: int) -> Any:  # noqa: ANN401
    """Read the texts inside a JSON document."""
    if depth > _DEEPEST:
        raise ValueError
    if isinstance(value, str):
        return _read(value, depth + 1)
    if isinstance(value, list):
        return [_nested(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _nested(item, depth + 1) for key, item in value.items()}
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(value := dict(pairs)) < len(pairs):
        raise ValueError
    return value


def _exact(text: str) -> float:
    if repr(value := float(text)) != text:
        raise ValueError
    return value


def _refuse(_text: str) -> None:
    raise ValueError


def _canonical(value: Any) -> str:  # noqa: ANN401
    """Return a text that is equal for equal values; null and absent are the same."""
    return json.dumps(_without_nulls(value), sort_keys=True, default=repr)


def _without_nulls(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def differences(path: Path, before: Any, after: Any, name: Callable[[str], str]) -> Iterator[Difference]:  # noqa: ANN401
    """Yield the smallest differences between two values.

    Args:
        path: Path of the two values.
        before: Old value; None if there is none.
        after: New value; None if there is none.
        name: Replaces names that differ between targets, which must not decide the order of keys.
    """
    one_sided = before is None or after is None
    if before is after or (not one_sided and _canonical(before) == _canonical(after)):
        return
    kinds = {type(value) for value in (before, after) if value is not None}
    if len(kinds) == 1:
        look = _LOOKS.get(kinds.pop())
        # Texts with the same JSON in different spelling differ as texts.
        yield from (list(look(path, before, after, name)) if look else []) or [(path, before, after)]
    elif kinds & {dict, list}:
        yield from differences(path, before, None, name)
        yield from differences(path, None, after, name)
    else:
        yield path, before, after


def _in_objects(path: Path, before: Any, after: Any, name: Callable[[str], str]) -> Iterator[Difference]:  # noqa: ANN401
    before, after = before or {}, after or {}
    for key in sorted({*before, *after}, key=lambda key: (name(key), key)):
        yield from differences((*path, key), before.get(key), after.get(key), name)


def _in_lists(path: Path, before: Any, after: Any, name: Callable[[str], str]) -> Iterator[Difference]:  # noqa: ANN401
    """Match equal items first, so that an inserted item does not make all later ones differ."""
    before, after = before or [], after or []
    old_items, new_items = ([_canonical(item) for item in items] for items in (before, after))
    matcher = SequenceMatcher(None, old_items, new_items, autojunk=False)
    for _, first, last, new_first, new_last in matcher.get_opcodes():
        for offset in range(max(last - first, new_last - new_first)):
            old = before[first + offset] if first + offset < last else None
            new = after[new_first + offset] if new_first + offset < new_last else None
            index = new_first + offset if new_first + offset < new_last else first + offset
            yield from differences((*path, index), old, new, name)


def _in_texts(path: Path, before: Any, after: Any, name: Callable[[str], str]) -> Iterator[Difference]:  # noqa: ANN401
    old, new = (value.value if value is not None else None for value in (before, after))
    yield from differences((*path, INSIDE), old, new, name)


_LOOKS: Mapping[type, Callable[[Path, Any, Any, Callable[[str], str]], Iterator[Difference]]] = {
    dict: _in_objects,
    list: _in_lists,
    JsonText: _in_texts,
}
