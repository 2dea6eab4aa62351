"""The reasoning of a simulated model: filler text, drawn from the request's id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...seeded_draws import draw_name, draw_uniform

if TYPE_CHECKING:
    from ..settings.provider import EndpointSettings


def draw_reasoning(settings: EndpointSettings, seed: int, request_id: str) -> str:
    """Draw filler of 0.5 to 1.5 times `reasoning_tokens` tokens; empty where the endpoint has no reasoning."""
    if settings.reasoning is None:
        return ""
    share = 0.5 + draw_uniform(seed, "reasoning_length", request_id)
    tokens = max(1, round(settings.reasoning_tokens * share))
    word = draw_name(seed, "reasoning", request_id)[:3] + " "  # four characters: one token
    return word * (tokens - 1) + word[:3] + "."
