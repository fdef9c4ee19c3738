"""Every number that a sentence quotes, and whether the figures hold it."""

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from huntaze.pipelines.insights.figures import PERCENT, WINDOW_DAYS, Figure

# A run of digits with what may stand inside a number. What it cannot be read as is a number that nobody can check.
_RUN: Final = re.compile(r"\d[\d.,'’\u00a0\u2009\u202f]*")
_PLAIN: Final = re.compile(r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?")
_GLUED: Final = re.compile(r"\w", re.UNICODE)
_PERCENT_SIGNS: Final = re.compile(r"\s?(?:%|％|per\s?cent\b|percent\b)", re.I)
_DAYS: Final = re.compile(r"[\s-]?days?\b", re.I)
_MONEY: Final = ("$", "€", "£", "¥")
# Amounts in words, which would pass by the digits: any of them is a number that is checked.
_WORDS: Final = {
    word: Decimal(value)
    for value, words in {
        "0": "zero", "2": "two twice double doubled pair", "3": "three triple tripled thrice", "4": "four quadruple",
        "5": "five", "6": "six", "7": "seven", "8": "eight", "9": "nine", "10": "ten tenfold", "11": "eleven",
        "12": "twelve dozen", "13": "thirteen", "14": "fourteen", "15": "fifteen", "16": "sixteen", "17": "seventeen",
        "18": "eighteen", "19": "nineteen", "20": "twenty", "30": "thirty", "40": "forty", "50": "fifty", "60": "sixty",
        "70": "seventy", "80": "eighty", "90": "ninety", "100": "hundred hundreds", "1000": "thousand thousands",
        "1000000": "million millions", "1000000000": "billion billions", "0.5": "half halved", "0.25": "quarter",
    }.items()
    for word in words.split()
}  # fmt: skip
_WORD: Final = re.compile(r"[a-z]+", re.I)


def unfounded(text: str, figures: Iterable[Figure]) -> list[str]:
    """The numbers of `text` that the figures do not hold, as they are written there.

    A percentage has to be one of the figures' percentages, an amount of money one of their amounts; of a fall the sign
    may be in the words. The window's length may be named in days.
    """
    held = list(figures)
    wrong = [word for word in _WORD.findall(text) if not _word_held(word.lower(), held)]
    wrong += [sign for sign in text if not sign.isdecimal() and unicodedata.numeric(sign, None) is not None]
    for run in _RUN.finditer(text):
        written = run[0].rstrip(".,'’\u00a0\u2009\u202f")
        end = run.start() + len(written)
        before, after = text[: run.start()].rstrip(), text[end:]
        if not _held(written, before, after, glued=_glued(text, run.start(), end), figures=held):
            wrong.append(written)
    return wrong


def _word_held(word: str, figures: list[Figure]) -> bool:
    amount = _WORDS.get(word)
    return amount is None or any(abs(one.value) == amount for one in figures)


def _glued(text: str, begin: int, end: int) -> bool:
    """Whether letters touch it: 4K, v2, 3x."""
    return bool((begin and _GLUED.match(text[begin - 1])) or (end < len(text) and _GLUED.match(text[end])))


def _held(written: str, before: str, after: str, *, glued: bool, figures: list[Figure]) -> bool:
    if glued or not _PLAIN.fullmatch(written):
        return False
    amount = Decimal(written.replace(",", ""))
    if _PERCENT_SIGNS.match(after):
        return any(one.unit == PERCENT and abs(one.value) == amount for one in figures)
    if before.endswith(_MONEY) or _followed_by_currency(after, figures):
        return any(one.money and abs(one.value) == amount for one in figures)
    if amount == WINDOW_DAYS and _DAYS.match(after):
        return True
    return any(abs(one.value) == amount for one in figures)


def _followed_by_currency(after: str, figures: list[Figure]) -> bool:
    return any(one.money and after.lstrip().startswith(one.unit) for one in figures)
