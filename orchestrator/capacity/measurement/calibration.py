"""Measure how many tokens a word has at an endpoint: send two prompts of different length and compare the server's token counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from providers.errors import ProviderError
from providers.instance import Instance
from providers.messages import ChatRequest, Generation, Usage
from providers.provider import Sender

from ..workload.prompts import SyntheticPrompts, TokenCount, of_words

PATIENCE_S = 60.0
SHORT = 8
"""Words of the shorter prompt."""
BELIEVABLE = (0.3, 4.0)
"""Plausible tokens per four-letter word. Outside this range the server counts something else."""


async def calibrate(prompts: SyntheticPrompts, instance: Instance, sender: Sender, label: str) -> SyntheticPrompts:
    """Return prompts scaled to the endpoint's token count; unchanged where it reports no usage or does not answer."""
    long = max(4 * SHORT, prompts.count.words(prompts.input.most))
    counts = [await _count(words, prompts.seed, instance, sender, f"{label}-words-{words}") for words in (SHORT, long)]
    if counts[0] is None or counts[1] is None:
        return prompts
    per_word = (counts[1] - counts[0]) / (long - SHORT)
    if not BELIEVABLE[0] <= per_word <= BELIEVABLE[1]:
        return prompts
    return replace(prompts, count=TokenCount(per_word, counts[0] - SHORT * per_word))


async def _count(words: int, seed: int, instance: Instance, sender: Sender, label: str) -> int | None:
    prompt = of_words(words, seed)
    request = ChatRequest(prompt.messages, generation=Generation(max_tokens=prompt.max_tokens))
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    usage: Usage | None
    try:
        usage = (await sender.complete(instance, request, request_id=f"{label}/1/1", deadline=deadline)).usage
    except ProviderError as error:
        usage = error.evidence.usage
    return None if usage is None or usage.estimated else usage.input_tokens
