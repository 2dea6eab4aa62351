"""Decides the answer to a request: its content, token counts, fault and finish reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from ..messages import ToolCall
from ..seeded_draws import draw_name
from .answers.faults import draw_fault
from .answers.reasoning import draw_reasoning
from .protocol.calls import CHARACTERS_PER_TOKEN, UNSTATED_MAX_TOKENS, SimulatedCall, SimulatedReply, tokens_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .answers.source import AnswerSource, SimulatedAnswer
    from .endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class _Content:
    """The content of an answer and its finish reason."""

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()
    finish_reason: str = "stop"
    output_tokens: int = 0
    reasoning: str = ""


def decide_reply(call: SimulatedCall, endpoint: Endpoint, answers: AnswerSource, seed: int) -> SimulatedReply:
    """Decide everything about the answer except its time; the result depends on (seed, request) only."""
    fault = draw_fault(seed, call.request_id, endpoint.faults)
    right, corruption, max_tokens = None, None, call.request.generation.output_limit  # type: bool | None, str | None, int | None
    reasoning, failure = draw_reasoning(endpoint.settings, seed, call.request_id), None
    if fault in ("empty", "error_500", "reset"):
        content = _Content()
    elif fault == "content_filter":
        content = _Content(finish_reason="content_filter")
    elif fault == "length":
        content = _cut_short(reasoning, max_tokens or UNSTATED_MAX_TOKENS)
    else:
        answer = answers.answer(call.request_id, call.request, call.name)
        if fault in (None, "stall"):
            right, corruption = answer.right, answer.corruption
        content, failure = _fit(reasoning, answer, max_tokens), answer.error
    return SimulatedReply(
        response_id="chatcmpl-" + draw_name(seed, "response", f"{endpoint.key}/{endpoint.name}/{call.request_id}"),
        model=endpoint.model,
        text=content.text,
        tool_calls=content.tool_calls,
        finish_reason=content.finish_reason,
        input_tokens=call.input_tokens,
        output_tokens=content.output_tokens,
        right=right,
        fault=fault if failure is None else "error_500",
        corruption=corruption,
        reasoning=content.reasoning,
        error=failure,
    )


def _fit(reasoning: str, answer: SimulatedAnswer, max_tokens: int | None) -> _Content:
    """Cut the answer to max_tokens; the reasoning counts first."""
    reasoning_tokens = tokens_of(reasoning)
    if max_tokens is not None and 0 < max_tokens <= reasoning_tokens:
        return _cut_short(reasoning, max_tokens)
    calls_tokens = -(-len(orjson.dumps(answer.tool_calls)) // CHARACTERS_PER_TOKEN) if answer.tool_calls else 0
    tokens = reasoning_tokens + max(1, tokens_of(answer.text) + calls_tokens)
    if answer.tool_calls:
        return _Content(answer.text, answer.tool_calls, "tool_calls", tokens, reasoning)
    if max_tokens is not None and tokens > max_tokens:
        return _Content(_cut(answer.text, max_tokens - reasoning_tokens), (), "length", max_tokens, reasoning)
    return _Content(answer.text, (), "stop", tokens, reasoning)


def _cut_short(reasoning: str, tokens: int) -> _Content:
    """Build an answer that ends before its text begins."""
    return _Content(finish_reason="length", output_tokens=tokens, reasoning=_cut(reasoning, tokens))


def _cut(text: str, tokens: int) -> str:
    return text[: tokens * CHARACTERS_PER_TOKEN]
