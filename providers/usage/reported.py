"""Token usage of an answer, in the formats of the vendors. Counts that a server does not report are estimated and marked as such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..messages import ChatRequest, Usage
from .estimates import BYTES_PER_TOKEN, estimate_tokens, prompt_bytes

BELIEVABLE_TOKENS: Final = 10**8
"""Largest plausible count. A higher one is an error of the server and would spoil every sum; it is ignored."""

_CACHED: Final = frozenset({"cached_tokens", "num_cached_tokens", "cache_read_input_tokens", "prompt_cache_hit_tokens"})
"""Other names of the cached tokens, beside `prompt_tokens_details`: Moonshot, Together; vLLM; Anthropic; DeepSeek."""


def read_usage(usage: object) -> Usage | None:
    """Read a usage object; None where it lacks the input or the output tokens."""
    if not isinstance(usage, dict):
        return None
    input_tokens = _count(usage["prompt_tokens"] if "prompt_tokens" in usage else usage.get("input_tokens"))
    output_tokens = _count(usage["completion_tokens"] if "completion_tokens" in usage else usage.get("output_tokens"))
    if input_tokens is None or output_tokens is None:
        return None
    cached = _detail(usage, "prompt_tokens_details", "input_tokens_details", "cached_tokens")
    if not cached and not _CACHED.isdisjoint(usage):
        cached = max(_count(usage.get(name)) or 0 for name in _CACHED)
    reasoning = _detail(usage, "completion_tokens_details", "output_tokens_details", "reasoning_tokens")
    total = usage.get("total_tokens")
    if total != input_tokens + output_tokens:
        output_tokens = _with_uncounted_reasoning(input_tokens, output_tokens, cached, _count(total))
    return Usage(input_tokens, output_tokens, cached, reasoning)


def find_usage(body: Mapping[str, object], choice: Mapping[str, object]) -> Usage | None:
    """Find usage that is not at the top level of an answer: Moonshot puts it into the choice, Groq into `x_groq`."""
    groq = body.get("x_groq")
    return read_usage(choice.get("usage")) or (read_usage(groq.get("usage")) if isinstance(groq, dict) else None)


def merge_usage(earlier: object, later: object) -> object:
    """Merge two usage objects of one stream: a field that is missing or zero in the later one keeps its earlier value."""
    if not isinstance(later, dict):
        return earlier
    if not isinstance(earlier, dict):
        return later
    merged = dict(earlier)
    for name, value in later.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = before | {inner: count for inner, count in value.items() if count}
        elif value:
            merged[name] = value
    return merged


def complete_usage(reported: Usage | None, request: ChatRequest, words: str) -> Usage:
    """Estimate the counts that the server did not report, or reported as 0. `words` is everything that the model wrote."""
    prompt_tokens = round(prompt_bytes(request.messages, request.tools) / BYTES_PER_TOKEN)
    estimate = Usage(prompt_tokens, estimate_tokens(words), estimated=True)
    if reported is None:
        return estimate
    input_tokens, output_tokens = (
        reported.input_tokens or prompt_tokens,
        reported.output_tokens or estimate.output_tokens,
    )
    is_estimated = (input_tokens, output_tokens) != (reported.input_tokens, reported.output_tokens)
    return Usage(input_tokens, output_tokens, reported.cached_tokens, reported.reasoning_tokens, is_estimated)


def _with_uncounted_reasoning(input_tokens: int, output_tokens: int, cached: int, total: int | None) -> int:
    """Return the output tokens with reasoning that only the total counts (xAI, Gemini). Cached tokens beyond the prompt are no output."""
    outside = cached if cached > input_tokens else 0
    return max(output_tokens, (total or 0) - input_tokens - outside)


def _detail(usage: Mapping[str, object], group: str, other_group: str, name: str) -> int:
    details = usage.get(group) or usage.get(other_group) or usage
    return (_count(details.get(name)) or 0) if isinstance(details, dict) else 0


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= BELIEVABLE_TOKENS else None  # a bool is no count
