"""Builds the fields of a chat completion's body from a request's generation."""

from __future__ import annotations

from collections.abc import Mapping

from ..messages import JSON, OUTPUT_LIMITS, ChatRequest, Generation
from .adaptation import adapt_fields

SENT_AS_IT_IS = (
    "temperature",
    "top_p",
    "seed",
    "reasoning_effort",
    "verbosity",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
)
"""Fields of `Generation` that have the same name in the API."""
_ABOUT_TOOLS = frozenset({"tool_choice", "parallel_tool_calls"})
"""Servers refuse these in a request without tools."""


def standard_fields(request: ChatRequest) -> dict[str, object]:
    """Build the fields that the generation sets, without `extra_body`, as adapted to the instance."""
    fields = _written_fields(request)
    return fields if request.adaptation is None else adapt_fields(fields, request.adaptation)


def extra_fields(request: ChatRequest) -> Mapping[str, JSON] | None:
    """Build the fields of `extra_body`, as adapted to the instance."""
    extra = request.generation.extra_body
    return extra if extra is None or request.adaptation is None else adapt_fields(extra, request.adaptation)


def sent_fields(request: ChatRequest) -> frozenset[str]:
    """Return the names of the body's fields that control the generation."""
    return frozenset((*standard_fields(request), *(extra_fields(request) or ())))


def _written_fields(request: ChatRequest) -> dict[str, object]:
    generation = request.generation
    fields: dict[str, object] = {}
    if generation.max_tokens is not None and not _spells_output_limit(generation):
        fields["max_tokens"] = generation.max_tokens
    for name in SENT_AS_IT_IS:
        value = getattr(generation, name)
        if value is not None and (request.tools or name not in _ABOUT_TOOLS):
            fields[name] = value
    if generation.stop:
        fields["stop"] = list(generation.stop)
    if generation.logprobs is not None:
        fields["logprobs"], fields["top_logprobs"] = True, generation.logprobs
    if generation.stream:
        fields["stream"], fields["stream_options"] = True, {"include_usage": True}
    return fields


def _spells_output_limit(generation: Generation) -> bool:
    """Return whether `extra_body` sets the output limit, so that `max_tokens` must not be sent as well."""
    extra = generation.extra_body
    return extra is not None and any(name in extra for name in OUTPUT_LIMITS)
