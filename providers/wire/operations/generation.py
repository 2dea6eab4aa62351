"""Builds the fields of a chat completion's body from a request's generation."""

from __future__ import annotations

from collections.abc import Mapping

from ...messages import JSON, OUTPUT_LIMITS, ChatRequest
from .adaptation import adapt_fields


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
    generation, extra = request.generation, request.generation.extra_body
    settings = {
        "max_tokens": None if extra and _spells_output_limit(extra) else generation.max_tokens,
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "seed": generation.seed,
        "reasoning_effort": generation.reasoning_effort,
        "verbosity": generation.verbosity,
        "response_format": generation.response_format,
        "tool_choice": generation.tool_choice if request.tools else None,  # servers refuse both without tools
        "parallel_tool_calls": generation.parallel_tool_calls if request.tools else None,
    }
    fields: dict[str, object] = {name: value for name, value in settings.items() if value is not None}
    if generation.stop:
        fields["stop"] = list(generation.stop)
    if generation.logprobs is not None:
        fields["logprobs"], fields["top_logprobs"] = True, generation.logprobs
    if generation.stream:
        fields["stream"], fields["stream_options"] = True, {"include_usage": True}
    return fields


def _spells_output_limit(extra_body: Mapping[str, JSON]) -> bool:
    """Return whether `extra_body` sets the output limit, so that `max_tokens` must not be sent as well."""
    return any(name in extra_body for name in OUTPUT_LIMITS)
