"""The measures of question answering as SQuAD defines them: token F1, and the exact match of any accepted answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from providers.messages import JSON
from runners.samples.answer import Score

from .targets.accepted import accepted_texts
from .text import FULL, WRONG

_ARTICLE = frozenset({"a", "an", "the"})
_TOKEN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""A word without its punctuation, or one character of Chinese or Japanese."""
_INSIDE = re.compile(r"(?<=\w)['’.,\-](?=\w)")


def f1(text: str, target: JSON) -> Score:
    """Compute the harmonic mean of precision and recall of the answer's tokens, for the accepted answer that it is closest to."""
    given = tokens(text)
    value = max((_f1(given, tokens(accepted)) for accepted in accepted_texts(target)), default=0.0)
    if value == 1:
        return FULL
    return Score(value, "partial" if value else "failed", "wrong_answer")


def exact_any(text: str, target: JSON) -> Score:
    """Compare the answer with every accepted one, without differences in case, punctuation, articles and white space."""
    given = tokens(text)
    return FULL if given and any(given == tokens(accepted) for accepted in accepted_texts(target)) else WRONG


def tokens(text: str) -> Sequence[str]:
    """Split a text into words without case, punctuation and articles; punctuation inside a word joins its parts, as in SQuAD."""
    words: list[str] = _TOKEN.findall(_INSIDE.sub("", text.casefold()))
    return [word for word in words if word not in _ARTICLE] or words


def _f1(given: Sequence[str], accepted: Sequence[str]) -> float:
    common = (Counter(given) & Counter(accepted)).total()
    return 2 * common / (len(given) + len(accepted)) if common else 0.0
