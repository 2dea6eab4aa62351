"""A model that says it will not or cannot is told apart from one that is wrong: the same worth, another class."""

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


def is_refusal(text: str) -> bool:
    """Whether the text opens with a refusal: what comes later is talk about one."""
    return _REFUSES.search(text[:_OPENING_CHARACTERS]) is not None


def telling_refusals(scorer: Scorer) -> Scorer:
    """The same scorer, whose failed answers have the class of a refusal where they are one. No answer that is right is touched."""

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:
        found = await scorer(sample, answer, model)
        refused = found.grade == "failed" and not answer.tool_calls and is_refusal(answer.text)
        return replace(found, error_class=REFUSAL) if refused else found

    return score
