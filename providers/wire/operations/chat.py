"""Builds the body of a chat completion request, and reads a response body as an answer or an error.

Every ChatResponse has text or a tool call: an error, an empty string or a default value is never returned as a model's answer. JSON
objects are dicts here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from ...errors import ContentFiltered, Empty, Evidence, ProviderError, Truncated
from ...messages import ChatRequest, ChatResponse, Timing
from ...route import Route
from ...usage.reported import complete_usage, find_usage, read_usage
from ..errors.complaint import is_complaint
from ..errors.refusals import classify_error_body
from ..message.turn import Turn, is_plain, read_turn
from ..rate_limits.headers import read_hint
from ..received import Received
from .generation import extra_fields, standard_fields

USUAL_REASONS: Final = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter", "eos", "end_turn"})
_BROKEN_OFF = re.compile(
    r"error|abort|fail|time_?d?_?out|cancel|interrupt|overload|insufficient_system_resource", re.IGNORECASE
)
"""In finish reasons of an answer that the server did not finish."""


def build_payload(route: Route, request: ChatRequest) -> dict[str, object]:
    """Build the JSON body; fields of `extra_body` override the others."""
    payload = build_standard_payload(route, request)
    if request.generation.extra_body:
        payload.update(extra_fields(request) or {})
    return payload


def build_standard_payload(route: Route, request: ChatRequest) -> dict[str, object]:
    """Build the body without `extra_body`; parameters that are not set are not sent."""
    payload: dict[str, object] = {"model": route.instance.deployment, "messages": request.messages}
    if request.tools:
        payload["tools"] = request.tools
    return payload | standard_fields(request)


def is_event_stream(content_type: str, request: ChatRequest) -> bool:
    """Return whether the answer is a stream of events, by its content type, else by the request."""
    return "event-stream" in content_type or (
        request.generation.stream and not ("json" in content_type or "html" in content_type)
    )


def read_completion(body: object, received: Received, timing: Timing) -> ChatResponse:
    """Read a chat completion. Raises the ProviderError that the body stands for where it is not an answer."""
    if not isinstance(body, dict):
        raise received.malformed("the answer is not a JSON object")
    if body.get("error") or is_complaint(body):
        raise classify_error_body(body, received)
    choice = _first_choice(body, received)
    finish_reason = _finish_reason(choice, received)
    message = choice.get("message")
    if message is None and finish_reason == "content_filter":
        message = {}
    if not isinstance(message, dict):
        raise received.malformed("the answer has no message")
    if is_plain(message):
        text = received.masking.without_keys(message["content"])
        turn = Turn(text, (), "", {"role": "assistant", "content": text}, False)
    else:
        turn = read_turn(message, received)
    usage = read_usage(body.get("usage"))
    if usage is None or not usage.input_tokens or not usage.output_tokens:
        usage = complete_usage(find_usage(body, choice) or usage, received.request, _all_words(turn))
    response_id = received.text_without_key(body.get("id"))
    if finish_reason == "content_filter" or not (turn.tool_calls or turn.text.strip()):
        raise _no_answer(finish_reason, turn, received, received.evidence(usage, response_id))
    return ChatResponse(
        text=turn.text,
        tool_calls=turn.tool_calls,
        finish_reason=finish_reason,
        usage=usage,
        timing=timing,
        hint=read_hint(received.headers),
        response_id=response_id,
        response_model=received.text_without_key(body.get("model")),
        system_fingerprint=received.text_without_key(body.get("system_fingerprint")) or None,
        refused=turn.refused,
        reasoning=turn.reasoning,
        assistant=turn.assistant,
    )


def is_broken_off(reason: object, choice: Mapping[str, object]) -> bool:
    """Return whether this finish reason means a broken-off answer. `length` does not: it means that max_tokens was reached."""
    if isinstance(reason, str) and reason not in USUAL_REASONS and _BROKEN_OFF.search(reason):
        return True
    return bool(choice.get("error")) and reason != "length"


def broken_off(choice: Mapping[str, object], received: Received) -> ProviderError:
    """Build the error of an answer that the server did not finish; a partial answer is not an answer."""
    if isinstance(choice.get("error"), dict | str) and choice["error"]:
        return classify_error_body(choice, received)
    return received.malformed(f"the server broke the answer off (finish reason {choice.get('finish_reason')})")


def choose_choice(choices: Sequence[object]) -> object:
    """Choose the choice of index 0, in whatever order they are; the first where none has that index."""
    return next((choice for choice in choices if isinstance(choice, dict) and choice.get("index") == 0), choices[0])


def _no_answer(
    finish_reason: str, turn: Turn, received: Received, evidence: Evidence
) -> ContentFiltered | Truncated | Empty:
    if finish_reason == "content_filter":
        return ContentFiltered(f"{received.instance}: the answer was stopped by the content filter", evidence)
    if finish_reason == "length":
        when = "while the model was thinking" if turn.reasoning else "before it wrote any text"
        return Truncated(f"{received.instance}: max_tokens was used up {when}; raise it", evidence)
    return Empty(f"{received.instance}: the model finished ({finish_reason or 'no reason'}) without text", evidence)


def _first_choice(body: Mapping[str, object], received: Received) -> Mapping[str, object]:
    choices = body.get("choices")
    if not choices and body.get("object") == "error":
        raise classify_error_body(body, received)
    if not isinstance(choices, list) or not choices or not isinstance(first := choices[0], dict):
        raise received.malformed("the answer has no choices")
    if len(choices) == 1:
        return first
    choice = choose_choice(choices)
    return choice if isinstance(choice, dict) else first


def _finish_reason(choice: Mapping[str, object], received: Received) -> str:
    reason = choice.get("finish_reason")
    if reason is None:
        return ""
    if not isinstance(reason, str):
        raise received.malformed("the finish reason is not a text")
    if is_broken_off(reason, choice):
        raise broken_off(choice, received)
    return received.masking.without_keys(reason)


def _all_words(turn: Turn) -> str:
    calls = orjson.dumps(turn.tool_calls).decode() if turn.tool_calls else ""
    return turn.reasoning + turn.text + calls
