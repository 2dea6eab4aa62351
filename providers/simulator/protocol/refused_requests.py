"""Requests that an endpoint refuses regardless of its quota: unsupported fields, and required fields that are missing.

The messages are those of OpenAI, which Azure forwards, and of Azure AI Foundry where it checks the fields itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from .dialects import AZURE, ErrorAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...messages import Message
    from ..settings.protocol import RefusedField
    from ..settings.provider import EndpointSettings
    from .calls import SimulatedCall
    from .dialects import Dialect

DEFAULT_VALUES: Mapping[str, int] = {
    "temperature": 1,
    "top_p": 1,
    "n": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
"""Fields that are refused unless they have this default value."""
_EXTRA_ON_FOUNDRY: Mapping[str, Sequence[str]] = {
    "stream_options": ("stream_options", "include_usage"),
    "seed": ("seed",),
}
"""Fields that Foundry's models of other vendors do not support, with their location in its message."""


def find_request_error(call: SimulatedCall, settings: EndpointSettings, dialect: Dialect) -> ErrorAnswer | None:
    """Find the first reason to refuse a request; None where the endpoint accepts it."""
    for field in settings.refuses:
        error = _refused(field, call, dialect)
        if error is not None:
            return error
    return None if settings.wants_back is None else _missing(settings.wants_back, call.request.messages)


def _refused(field: RefusedField, call: SimulatedCall, dialect: Dialect) -> ErrorAnswer | None:
    if field == "system":
        return _refused_role(call.request.messages)
    value = call.fields.get(field)
    if value is None or value == DEFAULT_VALUES.get(field):
        return None
    if field == "tools":
        return None if call.fields.get("reasoning_effort") == "none" else _refused_tools(call.name)
    if field in DEFAULT_VALUES:
        return _unsupported_value(field, orjson.dumps(value).decode(), DEFAULT_VALUES[field])
    if dialect is AZURE and field in _EXTRA_ON_FOUNDRY:
        return _extra_forbidden(_EXTRA_ON_FOUNDRY[field], value)
    advice = " Use 'max_completion_tokens' instead." if field == "max_tokens" else ""
    message = f"Unsupported parameter: '{field}' is not supported with this model.{advice}"
    return _invalid(message, field, "unsupported_parameter")


def _unsupported_value(field: str, value: str, default: int) -> ErrorAnswer:
    message = (
        f"Unsupported value: '{field}' does not support {value.removesuffix('.0')} with this model. "
        f"Only the default ({default}) value is supported."
    )
    return _invalid(message, field, "unsupported_value")


def _refused_role(messages: Sequence[Message]) -> ErrorAnswer | None:
    for index, message in enumerate(messages):
        if message.get("role") == "system":
            param = f"messages[{index}].role"
            return _invalid(
                f"Unsupported value: '{param}' does not support 'system' with this model.", param, "unsupported_value"
            )
    return None


def _refused_tools(name: str) -> ErrorAnswer:
    message = (
        f"Function tools with reasoning_effort are not supported for {name} in /v1/chat/completions. "
        "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
    )
    return _invalid(message, "reasoning_effort", None)


def _extra_forbidden(place: Sequence[str], value: object) -> ErrorAnswer:
    for key in place[1:]:
        value = value.get(key) if isinstance(value, dict) else value
    detail = {
        "type": "extra_forbidden",
        "loc": ["body", *place],
        "msg": "Extra inputs are not permitted",
        "input": value,
    }
    message = orjson.dumps({"detail": [detail]}).decode()
    return ErrorAnswer(422, {"error": {"code": "Invalid input", "message": message, "status": 422}})


def _missing(field: str, messages: Sequence[Message]) -> ErrorAnswer | None:
    for index, message in enumerate(messages):
        if message.get("role") == "assistant" and message.get("tool_calls") and not message.get(field):
            words = f"thinking is enabled but {field} is missing in assistant tool call message at index {index}"
            return ErrorAnswer(400, {"error": {"message": words, "type": "invalid_request_error"}})
    return None


def _invalid(message: str, param: str, code: str | None) -> ErrorAnswer:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return ErrorAnswer(400, {"error": error})
