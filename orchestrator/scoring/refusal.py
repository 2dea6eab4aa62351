"""Distinguishes refusals of a model from wrong answers: the same score, another error class."""

from __future__ import annotations

import re
from dataclasses import replace

from runners.calls.client import ModelClient
from runners.samples.answer import REFUSAL, Answer, Score, Scorer
from sharding.plan import Sample

_OPENING_CHARACTERS = 200
_REFUSES = re.compile(
    r"\b(?:i|we)\s*(?:['’]m|\s+am|['’]re|\s+are)\s+(?:sorry|afraid|unable|not able)\b"
    r"|\b(?:i|we)\s+(?:can(?:no|['’])?t|cannot|won['’]?t|will\s+not|must\s+decline\s+to|decline\s+to)\s+"
    r"(?:help|assist|answer|comply|provide|do\s+(?:that|this)|fulfil|share|create|discuss|support|engage|complete)"
    r"|^\W*sorry,?\s+(?:but\s+)?i\b|\bas\s+an\s+ai\b|抱歉|对不起|无法(?:回答|提供|协助|帮助)|不能(?:回答|提供|协助|帮助)",
    re.IGNORECASE,
)
_WORDS = (
    "sorry", "afraid", "unable", "not able", "decline to", "will not", "as an ai",
    *("can't", "cant", "cannot", "won't", "wont"),
)  # fmt: skip
"""One of them is in every refusal that is written in ASCII."""


def is_refusal(text: str) -> bool:
    """Return whether the text begins with a refusal; later sentences are not examined, because they may only mention one."""
    opening = text[:_OPENING_CHARACTERS]
    if opening.isascii():
        lower = " ".join(opening.lower().split())
        if not any(word in lower for word in _WORDS):
            return False
    return _REFUSES.search(opening) is not None


def telling_refusals(scorer: Scorer) -> Scorer:
    """Wrap a scorer: failed answers that are refusals get the class of refusals. Right answers are not changed."""

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:
        graded = await scorer(sample, answer, model)
        refused = graded.grade == "failed" and not answer.tool_calls and is_refusal(answer.text)
        return replace(graded, error_class=REFUSAL) if refused else graded

    return score
