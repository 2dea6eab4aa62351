"""The usage in an answer: true counts, in the format of the endpoint's vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..settings.provider import EndpointSettings
    from .calls import SimulatedReply


def build_usage(reply: SimulatedReply, settings: EndpointSettings) -> dict[str, object]:
    """Build the usage object; the total includes the reasoning even where completion_tokens does not."""
    leaves_out = settings.reasoning is not None and settings.reasoning_usage == "outside"
    usage: dict[str, object] = {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens - (reply.reasoning_tokens if leaves_out else 0),
        "total_tokens": reply.input_tokens + reply.output_tokens,
    }
    if settings.reasoning is not None and settings.reasoning_usage != "unsaid":
        usage["completion_tokens_details"] = {"reasoning_tokens": reply.reasoning_tokens}
    cached_tokens = reply.input_tokens // 2
    if settings.quirks.cached == "prompt_tokens_details":
        usage["prompt_tokens_details"] = {"cached_tokens": cached_tokens}
    elif settings.quirks.cached is not None:
        usage[settings.quirks.cached] = cached_tokens
    return usage


def build_usage_so_far(reply: SimulatedReply) -> dict[str, object]:
    """Build the usage of a chunk before the last one: only the prompt's tokens are known."""
    return {"prompt_tokens": reply.input_tokens, "completion_tokens": None, "total_tokens": None}
