"""The usage that an answer reports: true counts, said in the way of the endpoint's vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..settings import EndpointSettings
    from .calls import SimulatedReply


def build_usage(reply: SimulatedReply, settings: EndpointSettings) -> dict[str, object]:
    """Build the usage object; the total is true even where completion_tokens leaves the reasoning out."""
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
    """Build what a chunk says that is not the last: the prompt alone is known."""
    return {"prompt_tokens": reply.input_tokens, "completion_tokens": None, "total_tokens": None}
