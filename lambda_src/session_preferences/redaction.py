"""Keep the texts of shell profiles out of messages that are not ours: AWS's errors quote what was sent."""

import re
from collections.abc import Iterator, Mapping

from .document import is_hidden, parse
from .errors import UnreadableDocumentError

_LONGEST_MESSAGE = 500  # characters; the meaning of AWS's messages is at their beginning
_SCANNED = 4 * _LONGEST_MESSAGE  # so that no word is cut before it is recognized
_WORD = re.compile(r"\w{4,}")
_WITHHELD = "the message of AWS is withheld, because it quotes a document"


class Secrets:
    """The words of the documents that one run has read and written, but for those of preferences that may be shown."""

    def __init__(self) -> None:
        self._words: set[str] = set()

    def learn(self, document: str) -> None:
        """Remember what a document holds besides its known preferences."""
        try:
            texts = [text for path, value in parse(document).items() for text in _secrets(path, value)]
        except UnreadableDocumentError:  # YAML, or tampered with
            texts = [document]
        for text in texts:
            self._words.update(_WORD.findall(text))

    def hide(self, message: str) -> str:
        """Return the message, cut; none of it if it has a word that was learned."""
        scanned = message[:_SCANNED]
        if any(word in scanned for word in self._words):
            return _WITHHELD
        return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…"


def _secrets(path: str, value: object) -> Iterator[str]:
    if is_hidden(path):
        yield path
        yield from _leaves(value)


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value
