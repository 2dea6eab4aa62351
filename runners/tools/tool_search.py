"""The search for tools and the information about one, for text protocols in which the model is not given all tools."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import orjson

from providers.messages import JSON, Tool
from sharding.tasks.tool_plan import tool_name

_WORD = re.compile(r"[^\W_]+")
NAME_WEIGHT = 2
"""A word in the name of a tool counts twice as much as one in its description."""


def search_tools(query: str, tools: Sequence[Tool], limit: int) -> str:
    """List the tools whose names and descriptions have the most words of the query, the best first."""
    words = set(_words(query))
    ranked = sorted(((_score(words, tool), tool) for tool in tools), key=lambda pair: -pair[0])
    lines = [summary_line(tool) for score, tool in ranked[:limit] if score]
    return "\n".join(lines) or "no tool was found; search with other words"


def describe_tool(name: str, tools: Sequence[Tool]) -> str:
    """Return the schema of the tool with this name."""
    found = next((tool for tool in tools if tool_name(tool) == name.strip()), None)
    return f"there is no tool {name.strip()!r:.100}" if found is None else orjson.dumps(_function(found)).decode()


def summary_line(tool: Tool) -> str:
    """Return the name and the description of a tool."""
    description = _function(tool).get("description")
    return f"{tool_name(tool)}: {description}" if description else tool_name(tool)


def _function(tool: Tool) -> Mapping[str, JSON]:
    function = tool.get("function")
    return function if isinstance(function, Mapping) else tool


def _score(words: set[str], tool: Tool) -> int:
    description = set(_words(str(_function(tool).get("description") or "")))
    return NAME_WEIGHT * len(words & set(_words(tool_name(tool)))) + len(words & description)


def _words(text: str) -> Iterable[str]:
    return (word.casefold() for word in _WORD.findall(text))
