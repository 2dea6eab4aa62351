"""Secrets that no text may show: each is masked in whatever spelling a server repeats it.

An answer is searched for short marks of the spellings first, with `in` alone: it usually holds none, and nothing else is done.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NoReturn
from urllib.parse import quote

import orjson

MASK = "***"
SHORTEST_KEY = 16
"""Shortest key that is masked in answers: a shorter one may be an ordinary word of the text."""
SHORTEST_PART = 4
"""Longest start of a key at the end of a cut text that is not masked."""
MARK_LENGTH = 8
BY_RARITY = "etaoinsrhldcumfpgwybvkTAISCRNEDMPLOHBFGUWY1203456789VKxjqzJXQZ"
"""The letters and digits of usual answers, the most common first."""


class Secret:
    """A base of what holds secrets: it refuses to be pickled and copied, by `dataclasses.asdict` too, because a copy may be written."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse."""
        raise TypeError(
            f"{type(self).__name__} holds a secret and cannot be pickled or copied; pass on its variable's name"
        )


class Masking(Secret):
    """What is masked in the answers to a request: its key and the secret values among its headers."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: Sequence[str] = tuple(filter(None, secrets))
        self._keys = [secret for secret in self._secrets if len(secret) >= SHORTEST_KEY]
        marks = dict.fromkeys(_mark(form) for key in self._keys for form in _forms(key))
        self.marks = [(max(mark, key=BY_RARITY.find), mark) for mark in marks]
        """A text without any of them holds no spelling of a key. Beside each, its rarest sign: one sign is found ten times faster."""

    def without_keys(self, text: str) -> str:
        """Replace the keys in an answer. Short ones such as "EMPTY" or "test" are words that a model may write: they stay."""
        for sign, mark in self.marks:
            if sign in text and mark in text:
                return self._of_keys.sub(MASK, text)
        return text

    def mask(self, text: str) -> str:
        """Replace every secret in what a server says besides answers, short ones in plain form and escaped."""
        return self._of_all.sub(MASK, text) if self._secrets else text

    def mask_start(self, text: str) -> str:
        """Mask the same in the start of a longer text, and the part of a spelling that the cut has left at its end."""
        text = self.mask(text)
        end = text[-self.longest :]
        parts = (
            end[at:]
            for spelling in self._spellings
            for at in _places(spelling[: SHORTEST_PART + 1], end)
            if spelling.startswith(end[at:])
        )
        longest = max(parts, key=len, default="")
        return text.removesuffix(longest) + MASK if longest else text

    @property
    def longest(self) -> int:
        """The length of the longest spelling."""
        return max(map(len, self._spellings), default=0)

    @cached_property
    def _spellings(self) -> Sequence[str]:
        short = (spelling for secret in self._secrets for spelling in _escaped(secret))
        return sorted({*short, *(spelling for key in self._keys for spelling in spellings(key))}, key=len, reverse=True)

    @cached_property
    def _of_keys(self) -> re.Pattern[str]:
        return _pattern(spelling for key in self._keys for spelling in spellings(key))

    @cached_property
    def _of_all(self) -> re.Pattern[str]:
        return _pattern(self._spellings)


def spellings(key: str) -> set[str]:
    """Return the forms in which a server may echo a key: plain, in other cases, reversed, each escaped; in base64 at any place."""
    return {spelling for form in _forms(key) for spelling in _escaped(form)} | {
        form.replace("+", "-").replace("/", "_") for form in _in_base64(key)
    }


def _forms(key: str) -> Iterator[str]:
    yield from (key, key.upper(), key.lower(), key[::-1])
    yield from _in_base64(key)


def _in_base64(key: str) -> Iterator[str]:
    """Yield the characters that a key alone determines in base64, for the three places at which it may begin in a longer text."""
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        data = bytes(before) + key.encode()
        yield base64.b64encode(data).decode()[shared : len(data) * 8 // 6]


def _escaped(text: str) -> set[str]:
    """Return a text plain, in JSON text (`\\/` for a slash) and in an address."""
    in_json, in_address = orjson.dumps(text).decode()[1:-1], quote(text, safe="")
    small = re.sub("%..", lambda escaped: escaped[0].lower(), in_address)
    return {text, in_json, in_json.replace("/", "\\/"), in_address, small}


def _places(part: str, text: str) -> Iterator[int]:
    """Yield where a part stands in a text."""
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _mark(form: str) -> str:
    """Choose the characters by which a form is found fastest: none that is escaped, and one that is rare in texts."""
    runs: list[str] = re.findall(r"[A-Za-z0-9]+", form) or [form]
    parts = (run[at : at + MARK_LENGTH] for run in runs for at in range(max(1, len(run) - MARK_LENGTH + 1)))
    return max(parts, key=lambda part: (len(part), max(map(BY_RARITY.find, part))))


def _pattern(texts: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))))


NOTHING_SECRET = Masking()
