"""Thoughts of reasoning models, `<think>...</think>`, taken out of an answer that may come in any pieces.

DeepSeek-R1 opens an answer with one; a server whose template opens it sends only its end. Thoughts stand at the
beginning: the same words later on are the answer's own.
"""

from typing import Final

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class ThinkFilter:
    """Feed it the pieces; what comes back is the answer's. `thought_chars`: how many characters were thoughts.

    `opened`: the first thought has been opened by the server's template.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._inside = opened
        self._answering = False
        self._held = ""  # what cannot be told apart yet
        self.thought_chars = 0

    def feed(self, piece: str) -> str:
        """The part of what has come that is known to be the answer's."""
        if self._answering:
            return piece
        self._held += piece
        while (shown := self._step()) is None:
            continue
        return shown

    def close(self) -> str:
        """The rest, once nothing more comes. A thought that never ends leaves no answer."""
        if self._inside:
            self.thought_chars += len(self._held)
            return ""
        return "" if self._answering else self._held

    def _step(self) -> str | None:
        """Into a thought or out of one: None. Otherwise what is shown: nothing yet, or the beginning of the answer."""
        if self._inside:
            return self._leave()
        text = self._held.lstrip()
        if text.startswith(_OPEN):
            self._held, self._inside = text[len(_OPEN) :], True
            return None
        if not text or _OPEN.startswith(text):
            return ""
        self._held, self._answering = "", True
        return text

    def _leave(self) -> str | None:
        at = self._held.find(_CLOSE)
        if at < 0:
            kept = len(_CLOSE) - 1  # the end may be split over pieces
            self.thought_chars += max(0, len(self._held) - kept)
            self._held = self._held[-kept:]
            return ""
        self.thought_chars += at
        self._held = self._held[at + len(_CLOSE) :]
        self._inside = False
        return None


def without_thoughts(text: str, *, opened: bool = False) -> tuple[str, int]:
    """The answer of a whole text, and how many characters of it were thoughts.

    Of a whole text it can also be told that its thought was opened by the template, where nobody has said so.
    """
    filter = ThinkFilter(opened=opened or (_CLOSE in text and _OPEN not in text))
    return filter.feed(text) + filter.close(), filter.thought_chars
