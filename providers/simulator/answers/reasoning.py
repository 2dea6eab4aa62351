"""What a simulated model thinks before it answers: filler, whose length and words belong to the request's id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...seeded_draws import draw_name, draw_uniform

if TYPE_CHECKING:
    from ..settings import EndpointSettings


def draw_reasoning(settings: EndpointSettings, seed: int, request_id: str) -> str:
    """Draw filler between half and one and a half times `reasoning_tokens` long; empty where the endpoint shows no reasoning."""
    if settings.reasoning is None:
        return ""
    share = 0.5 + draw_uniform(seed, "reasoning_length", request_id)
    tokens = max(1, round(settings.reasoning_tokens * share))
    word = draw_name(seed, "reasoning", request_id)[:3] + " "  # four characters: one token
    return word * (tokens - 1) + word[:3] + "."
