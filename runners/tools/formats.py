"""The formats in which a model gets its tools and calls them: OpenAI function calling, or text for models without it.

The text format is that of Hermes and Qwen: one `<tool_call>{"name": …, "arguments": {…}}</tool_call>` for each call; results are returned
in `<tool_response>`. In this program calls always have the OpenAI shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import orjson

from providers.messages import JSON, ChatResponse, Message, Tool, ToolCall
from sharding.conversation import with_system

INSTRUCTIONS = """You may call one or more of these functions to help with the task:
<tools>
{tools}
</tools>

For each call, write a JSON object with the function's name and arguments within <tool_call></tool_call> tags, and nothing after them:
<tool_call>
{{"name": "<function name>", "arguments": {{<arguments>}}}}
</tool_call>
The result comes back within <tool_response></tool_response> tags. When you need no further call, give your final answer without tags."""

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
"""The closing tag may be missing at the end of the text: some servers stop there."""


class ToolFormat(Protocol):
    """A format for tools: it builds the messages and reads the calls."""

    def opening(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Sequence[Message]:
        """Return the messages with which a conversation with tools begins."""
        ...

    def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:
        """Return the tools for the `tools` field of the request."""
        ...

    def calls(self, reply: ChatResponse) -> Sequence[ToolCall]:
        """Return the calls in a reply."""
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

    def calls(self, reply: ChatResponse) -> Sequence[ToolCall]:
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

    def turn(self, reply: ChatResponse, calls: Sequence[ToolCall]) -> Message:
        """Return the reply with its calls, whose arguments are made valid JSON."""
        turn = _as_it_came(reply)
        return {**turn, "tool_calls": [_with_valid_arguments(call) for call in calls]} if calls else turn

    def results(self, calls: Sequence[ToolCall], contents: Sequence[str]) -> Sequence[Message]:
        """Return one `tool` message for each call."""
        return [
            {"role": "tool", "tool_call_id": call["id"], "content": content}
            for call, content in zip(calls, contents, strict=True)
        ]


class TextFormat:
    """The text format, for models without function calling."""

    def opening(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Sequence[Message]:
        """Add the tools and the instructions to the system message."""
        if not tools:
            return messages
        shown = "\n".join(orjson.dumps(tool).decode() for tool in tools)
        return with_system(messages, INSTRUCTIONS.format(tools=shown))

    def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:  # noqa: ARG002 - they are in the text
        """Return no tools: they are in the text."""
        return ()

    def calls(self, reply: ChatResponse) -> Sequence[ToolCall]:
        """Return the calls in the text of the reply."""
        return read_text_calls(reply.text, reply.response_id)

    def turn(self, reply: ChatResponse, calls: Sequence[ToolCall]) -> Message:  # noqa: ARG002 - the text has them
        """Return the reply, whose text holds the calls."""
        return _as_it_came(reply)

    def results(self, calls: Sequence[ToolCall], contents: Sequence[str]) -> Sequence[Message]:  # noqa: ARG002 - told by their order
        """Return one user message with all results, in the order of the calls."""
        text = "\n".join(f"<tool_response>\n{content}\n</tool_response>" for content in contents)
        return [{"role": "user", "content": text}]


def _as_it_came(reply: ChatResponse) -> Message:
    """Copy the reply with every field that the server may need back, without its calls."""
    turn = reply.assistant or {"role": "assistant", "content": reply.text or None}
    return {name: value for name, value in turn.items() if name != "tool_calls"}


def _with_valid_arguments(call: ToolCall) -> ToolCall:
    """Return the call with the JSON of an object as arguments, which servers require; other arguments become `{}`."""
    function = call.get("function")
    if not isinstance(function, Mapping):
        return call
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        is_object = False
    return {**call, "function": {**function, "arguments": text if is_object else "{}"}}


def read_text_calls(text: str, origin: str) -> Sequence[ToolCall]:
    """Read the calls in a text. A call that cannot be read gets an empty name and the text as its arguments."""
    return [_read(body.strip(), f"{origin}-{number}") for number, body in enumerate(_CALL.findall(text))]


def _read(body: str, call_id: str) -> ToolCall:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    name, arguments = (value.get("name"), value.get("arguments", {})) if isinstance(value, dict) else (None, body)
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    function: Mapping[str, JSON] = {"name": name if isinstance(name, str) else "", "arguments": text}
    return {"id": call_id, "type": "function", "function": function}


NATIVE = NativeFormat()
TEXT = TextFormat()
FORMATS: Mapping[str, ToolFormat] = {"native": NATIVE, "text": TEXT}
