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
        while self._inside or not self._answering:
            if self._inside and not self._leave():
                return ""
            if not self._inside and not self._enter():
                break
        if not self._answering:
            return ""
        shown, self._held = self._held, ""
        return shown

    def close(self) -> str:
        """The rest, once nothing more comes. A thought that never ends leaves no answer."""
        if self._inside:
            self.thought_chars += len(self._held)
            return ""
        return "" if self._answering else self._held

    def _leave(self) -> bool:
        """Out of a thought, if its end has come."""
        at = self._held.find(_CLOSE)
        if at < 0:
            kept = len(_CLOSE) - 1  # the end may be split over pieces
            self.thought_chars += max(0, len(self._held) - kept)
            self._held = self._held[-kept:]
            return False
        self.thought_chars += at
        self._held = self._held[at + len(_CLOSE) :]
        self._inside = False
        return True

    def _enter(self) -> bool:
        """Into a thought, if one begins; True if it did. Otherwise the answer has begun, or it cannot be told yet."""
        text = self._held.lstrip()
        if text.startswith(_OPEN):
            self._held, self._inside = text[len(_OPEN) :], True
            return True
        if text and not _OPEN.startswith(text):
            self._held, self._answering = text, True
        return False


def without_thoughts(text: str, *, opened: bool = False) -> tuple[str, int]:
    """The answer of a whole text, and how many characters of it were thoughts.

    Of a whole text it can also be told that its thought was opened by the template, where nobody has said so.
    """
    filter = ThinkFilter(opened=opened or (_CLOSE in text and _OPEN not in text))
    return filter.feed(text) + filter.close(), filter.thought_chars
