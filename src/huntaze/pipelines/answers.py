"""JSON as language models write it: behind thoughts, in a fence, with a preface, and not always quite JSON.

Only the shape is read here, and everything in it is untrusted data; what it means is checked by whoever asked.
"""

import json
import math
import re
from typing import Any, Final

# An answer is a few thousand characters; these bound what a runaway or hostile one can cost.
_CHARACTERS_MOST: Final = 64_000
_WORK_MOST: Final = 1_000_000  # characters read, over all places where an object could begin; a token counts for more
_TOKEN_WORK: Final = 8
_DEEPEST: Final = 16
# A single quote ends a text only where JSON goes on behind it: {'summary': 'It's a boat'}.
# What stands in quotes is taken whole or not at all, by a look ahead and back: possessive groups, which are shorter, do
# not work before Python 3.11.5.
_TOKEN: Final = re.compile(
    r"""\s*+(?:(?P<mark>[{}\[\]:,])
    |(?P<text>"(?=(?P<_1>(?:[^"\\]|\\.)*))(?P=_1)"|'(?=(?P<_2>(?:[^'\\]|\\.|'(?!\s*+(?:[,:}\]]|\Z)))*))(?P=_2)')
    |(?P<cut>["'].*+)
    |(?P<word>[^\s{}\[\]:,"']++))""",
    re.DOTALL | re.VERBOSE,
)
_CONSTANTS: Final = {"true": True, "false": False, "null": None, "none": None, "nan": None, "undefined": None}


class NoObject(ValueError):
    """There is no JSON object in the text."""


class _Unreadable(ValueError):
    """What begins here is not an object."""


def find_object(text: str, key: str) -> tuple[dict[str, Any], bool]:
    """The object in `text` that has `key`, else the largest; and whether the text breaks off inside of it.

    Forgives `<think>` blocks, fences and prose around it, an object around it, trailing and missing commas, single
    quotes, bare words, Python's constants, NaN (null), line breaks in texts and a missing end. Raises NoObject.
    """
    reader = _Reader(_without_thoughts(text)[:_CHARACTERS_MOST])
    found: list[tuple[bool, bool, int, dict[str, Any]]] = [(False, False, 0, {})]
    for value, cut in reader.objects():
        inner = (each for each in value.values() if isinstance(each, dict))
        found += [(key in each, not cut, len(each), each) for each in (value, *inner)]
    _, whole, size, best = max(found, key=lambda each: each[:3])
    if not size:
        raise NoObject
    return best, not whole


def _without_thoughts(text: str) -> str:
    """Without what a reasoning model thought aloud; a thought that never ends leaves no answer."""
    return text.rpartition("</think>")[2].partition("<think>")[0]


class _Reader:
    """Reads objects out of a text, from left to right. `cut`: the text ended inside of the last one."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._left, self.cut = text, 0, _WORK_MOST, False

    def objects(self) -> list[tuple[dict[str, Any], bool]]:
        found = []
        begin = self._text.find("{")
        while begin >= 0 and self._left > 0:
            self._at, self.cut = begin + 1, False
            try:
                found.append((self._object(1), self.cut))
            except _Unreadable:
                self._at = begin + 1
            begin = self._text.find("{", self._at)
        return found

    def _next(self) -> tuple[str, str]:
        """(kind, piece); ("end", "") behind the last one."""
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            return "end", ""
        self._left -= _TOKEN_WORK + match.end() - self._at
        if self._left < 0:
            raise _Unreadable
        self._at = match.end()
        return match.lastgroup, match[match.lastgroup]

    def _value(self, depth: int, kind: str, piece: str) -> Any:
        if kind == "text":
            return _string(piece)
        if kind == "word":
            return _word(piece)
        if kind == "mark":
            if depth >= _DEEPEST or piece not in "{[":
                raise _Unreadable
            return self._object(depth + 1) if piece == "{" else self._array(depth + 1)
        self.cut = True
        return None

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self.cut:
            kind, piece = self._next()
            if piece == "}":
                return found
            if piece == ",":
                continue
            if kind == "mark":
                raise _Unreadable
            name = _string(piece) if kind == "text" else piece
            self.cut = kind in ("cut", "end")
            if not self.cut and self._colon():
                value = self._value(depth, *self._next())
                if value is not None or not self.cut:
                    found[name] = value
        return found

    def _colon(self) -> bool:
        kind, piece = self._next()
        if kind == "end":
            self.cut = True
        elif piece != ":":
            raise _Unreadable
        return not self.cut

    def _array(self, depth: int) -> list[Any]:
        found: list[Any] = []
        while not self.cut:
            kind, piece = self._next()
            if piece == "]":
                return found
            if piece == ",":
                continue
            value = self._value(depth, kind, piece)
            if value is not None or not self.cut:
                found.append(value)
        return found


def _string(piece: str) -> str:
    body = piece[1:-1]
    if piece[0] == "'":
        body = re.sub(r'(?<!\\)"', r"\"", body.replace("\\'", "'"))
    try:
        value = json.loads(f'"{body}"', strict=False)
    except ValueError:  # an escape that JSON does not know
        return body.replace("\\", "")
    return str(value)


def _word(piece: str) -> Any:
    """A constant, a finite number, or the word itself."""
    if piece.lower() in _CONSTANTS:
        return _CONSTANTS[piece.lower()]
    if re.fullmatch(r"-?[0-9]{1,15}", piece):
        return int(piece)
    try:
        number = float(piece)
    except ValueError:
        return piece
    return number if math.isfinite(number) else None
