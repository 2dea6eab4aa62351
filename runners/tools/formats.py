"""The formats in which a model gets its tools and calls them: OpenAI function calling here, text in `text_format.py`.

In this program calls always have the OpenAI shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import orjson

from providers.messages import JSON, ChatResponse, Message, Tool, ToolCall

from .arguments import plain_arguments


class ToolFormat(Protocol):
    """A format for tools: it builds the messages and reads the calls."""

    def opening(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Sequence[Message]:
        """Return the messages with which a conversation with tools begins."""
        ...

    def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:
        """Return the tools for the `tools` field of the request."""
        ...

    def calls(self, reply: ChatResponse, tools: Sequence[Tool]) -> Sequence[ToolCall]:
        """Return the calls in a reply to a task with these tools."""
        ...

    def own_result(self, call: ToolCall, tools: Sequence[Tool]) -> str | None:
        """Return the result of a call that the format answers itself, such as a search for tools; None for a call of a tool."""
        ...

    def turn(self, reply: ChatResponse, calls: Sequence[ToolCall]) -> Message:
        """Return the reply as a message of the conversation."""
        ...

    def results(self, calls: Sequence[ToolCall], contents: Sequence[str]) -> Sequence[Message]:
        """Return the messages that hold the results of the calls."""
        ...


class NativeFormat:
    """The format of OpenAI function calling."""

    def opening(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Sequence[Message]:  # noqa: ARG002 - they have a field
        """Return the messages unchanged."""
        return messages

    def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:
        """Return all tools."""
        return tools

    def calls(self, reply: ChatResponse, tools: Sequence[Tool]) -> Sequence[ToolCall]:  # noqa: ARG002 - the server has read them
        """Return the calls, each with a unique id: some servers leave the id out or use it twice."""
        taken: set[JSON] = {None, ""}
        calls: list[ToolCall] = []
        for number, call in enumerate(reply.tool_calls):
            call_id = call.get("id")
            if not isinstance(call_id, str) or call_id in taken:
                call_id = f"{reply.response_id}-{number}"
            taken.add(call_id)
            calls.append({"type": "function", **call, "id": call_id})
        return calls

    def own_result(self, call: ToolCall, tools: Sequence[Tool]) -> str | None:  # noqa: ARG002 - the protocol asks for both
        """Return None: every call is of a tool."""
        return None

    def turn(self, reply: ChatResponse, calls: Sequence[ToolCall]) -> Message:
        """Return the reply with its calls, whose arguments are made valid JSON."""
        turn = as_it_came(reply)
        return {**turn, "tool_calls": [_with_valid_arguments(call) for call in calls]} if calls else turn

    def results(self, calls: Sequence[ToolCall], contents: Sequence[str]) -> Sequence[Message]:
        """Return one `tool` message for each call."""
        return [
            {"role": "tool", "tool_call_id": call["id"], "content": content}
            for call, content in zip(calls, contents, strict=True)
        ]


def as_it_came(reply: ChatResponse) -> Message:
    """Copy the reply with every field that the server may need back, without its calls."""
    turn = reply.assistant or {"role": "assistant", "content": reply.text or None}
    return {name: value for name, value in turn.items() if name != "tool_calls"}


def _with_valid_arguments(call: ToolCall) -> ToolCall:
    """Return the call with the JSON of an object as arguments, which servers require; other arguments become `{}`."""
    function = call.get("function")
    if not isinstance(function, Mapping):
        return call
    arguments = function.get("arguments")
    text = plain_arguments(arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode())
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        is_object = False
    return {**call, "function": {**function, "arguments": text if is_object else "{}"}}


NATIVE = NativeFormat()
