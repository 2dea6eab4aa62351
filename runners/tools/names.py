"""Tool names in requests: a name that the OpenAI format does not allow (`math.area`) is replaced, and restored in the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from providers.messages import JSON, ChatResponse, Message, Tool, ToolCall
from sharding.tasks.tool_plan import tool_name

LONGEST = 64
_ALLOWED = re.compile(rf"[a-zA-Z0-9_-]{{1,{LONGEST}}}")


@dataclass(frozen=True, slots=True)
class ToolNames:
    """The names that a task's tools have in requests; no two tools have the same name."""

    on_the_wire: Mapping[str, str]
    """The name in requests, by the task's name."""

    def tools(self, tools: Sequence[Tool]) -> Sequence[Tool]:
        """Return the tools with their names in requests."""
        return [_renamed(tool, self.on_the_wire) for tool in tools]

    def messages(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages with the calls' names in requests."""
        return [_with_calls(message, self.on_the_wire) for message in messages]

    def response(self, response: ChatResponse) -> ChatResponse:
        """Return the response with the task's names."""
        back = {wire: own for own, wire in self.on_the_wire.items()}
        calls = [_renamed(call, back) for call in response.tool_calls]
        return replace(response, tool_calls=calls, assistant=_with_calls(response.assistant, back))


def names_of(tools: Sequence[Tool]) -> ToolNames | None:
    """Return the names in requests; None if every name is allowed, which is the usual case."""
    names = [name for tool in tools if (name := tool_name(tool))]
    if all(_ALLOWED.fullmatch(name) for name in names):
        return None
    taken = {name for name in names if _ALLOWED.fullmatch(name)}
    wire = {name: name for name in taken}
    for name in names:
        if name not in wire:
            wire[name] = _free(re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:LONGEST], taken)
            taken.add(wire[name])
    return ToolNames(wire)


def name_on_the_wire(name: str, tools: Sequence[Tool]) -> str:
    """Return a tool's name in requests; a name that is not a tool's is returned unchanged."""
    names = names_of(tools)
    return names.on_the_wire.get(name, name) if names is not None else name


def _free(name: str, taken: set[str]) -> str:
    """Return the first of `name`, `name_2`, `name_3` … that is free."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        suffix = f"_{number}"
        candidate = name[: LONGEST - len(suffix)] + suffix
    return candidate


def _renamed(tool: Mapping[str, JSON], names: Mapping[str, str]) -> Mapping[str, JSON]:
    """Return a tool or a call with its other name."""
    function = tool.get("function")
    if isinstance(function, Mapping):
        return {**tool, "function": _renamed(function, names)}
    name = tool.get("name")
    return {**tool, "name": names.get(name, name)} if isinstance(name, str) else tool


def _with_calls(message: Message, names: Mapping[str, str]) -> Message:
    calls = message.get("tool_calls")
    if not isinstance(calls, list | tuple):
        return message
    renamed: list[ToolCall] = [_renamed(call, names) for call in calls if isinstance(call, Mapping)]
    return {**message, "tool_calls": renamed}
