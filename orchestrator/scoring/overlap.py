"""The measures of question answering as SQuAD defines them: token F1, and the exact match of any accepted answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from providers.messages import JSON
from runners.samples.answer import Score

from .targets.accepted import accepted_texts
from .text import FULL, WRONG

_ARTICLE = frozenset({"a", "an", "the"})
_TOKEN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""A word without its punctuation, or one character of Chinese or Japanese."""
_INSIDE = re.compile(r"['’.,\-](?<=\w.)(?=\w)")
_APART = "".join(chr(code) if chr(code).isalnum() or chr(code) == "_" else " " for code in range(128))
"""The ASCII characters, with a space in place of those that belong to no word."""


def f1(text: str, target: JSON) -> Score:
    """Compute the harmonic mean of precision and recall of the answer's tokens, for the accepted answer that it is closest to."""
    given = tokens(text)
    accepted = [_accepted_tokens(one) for one in accepted_texts(target)]
    wanted = set().union(*accepted)
    counts = Counter([word for word in given if word in wanted])
    value = max((_f1(counts, len(given), one) for one in accepted), default=0.0)
    if value == 1:
        return FULL
    return Score(value, "partial" if value else "failed", "wrong_answer")


def exact_any(text: str, target: JSON) -> Score:
    """Compare the answer with every accepted one, without differences in case, punctuation, articles and white space."""
    given = tokens(text)
    return FULL if given and any(given == _accepted_tokens(accepted) for accepted in accepted_texts(target)) else WRONG


def tokens(text: str) -> Sequence[str]:
    """Split a text into words without case, punctuation and articles; punctuation inside a word joins its parts, as in SQuAD."""
    joined = _INSIDE.sub("", text.casefold())
    words: list[str] = joined.translate(_APART).split() if joined.isascii() else _TOKEN.findall(joined)
    return [word for word in words if word not in _ARTICLE] or words


_accepted_tokens = lru_cache(maxsize=4_096)(tokens)
"""Cached, because a target is compared with the answers of every model and prompt type."""


def _f1(given: Counter[str], size: int, accepted: Sequence[str]) -> float:
    common = sum(min(count, given[word]) for word, count in Counter(accepted).items())
    return 2 * common / (size + len(accepted)) if common else 0.0
