"""Tools from a file of their own: a task names the tools that it needs, and its plan calls them in that order.

A registry is a list of tools or a mapping of names to tools, in the form of OpenAI, of MCP, or with a list of parameters. Read are name,
description, parameters and dependencies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson
import yaml

from providers.errors import InputError
from providers.messages import JSON, Tool
from providers.suggestion import suggestion

from ..yaml_text import load_yaml
from .dotted import roots_of, value_at
from .tool_plan import tool_name

SCHEMAS = ("parameters", "input_schema", "inputSchema")
"""Fields that may hold the parameters: of OpenAI, Anthropic and MCP."""
OF_A_PARAMETER = ("type", "description", "enum", "items", "default")
"""Fields of a listed parameter that become part of the schema."""
OF_A_SCHEMA = frozenset({"type", "properties", "$ref", "anyOf", "oneOf", "allOf", "additionalProperties"})
"""Keywords of which the schema of parameters has at least one."""
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


@dataclass(frozen=True, slots=True)
class RegistrySpec:
    """The settings of a registry."""

    path: Path
    names: str
    """The column with the names of a task's tools."""
    offer: Literal["named", "all"] = "named"
    """The tools that a task offers."""


class ToolRegistry:
    """The tools of a registry, and how a row gets its own."""

    def __init__(self, spec: RegistrySpec) -> None:
        """Read the file. Raises InputError with file and tool."""
        self._spec = spec
        self._tools: dict[str, Tool] = {}
        self._dependencies: dict[str, list[str]] = {}
        for name, entry in _entries(_read(spec.path), spec.path):
            try:
                tool = as_tool(name, entry)
            except InputError as error:
                raise InputError(f"{spec.path}: {error}") from error
            self._tools[tool_name(tool)] = tool
            depends_on = entry.get("dependencies")
            if isinstance(depends_on, list) and depends_on:
                self._dependencies[tool_name(tool)] = [str(other) for other in depends_on]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that may hold the names."""
        return frozenset(roots_of(self._spec.names))

    def assign(
        self, row: Mapping[str, JSON], metadata: Mapping[str, JSON] | None
    ) -> tuple[Sequence[Tool], Mapping[str, JSON]]:
        """Return the tools of a row and its metadata with its plan. Raises InputError with the reason only."""
        steps = listed_steps(value_at(row, self._spec.names), self._spec.names)
        names = [str(step["tool"]) for step in steps]
        for name in names:
            if name not in self._tools:
                raise InputError(f"{self._spec.names} names the tool {name!r}; {suggestion(name, self._tools)}")
        offered = self._tools if self._spec.offer == "all" else dict.fromkeys(names)
        own: dict[str, JSON] = {"plan": steps} if steps else {}
        dependencies = {name: self._dependencies[name] for name in offered if name in self._dependencies}
        own |= {"tool_dependencies": dependencies} if dependencies else {}
        return [self._tools[name] for name in offered], {**own, **(metadata or {})}


def listed_steps(value: JSON, column: str) -> list[Mapping[str, JSON]]:
    """Read a list of names, or of steps {tool, arguments, description}; a name alone is a step with any arguments.

    A text is JSON, or holds names separated by commas. Raises InputError with the reason only.
    """
    if isinstance(value, str):
        value = _from_text(value)
    if value is None:
        return []
    steps = [_step(item) for item in value] if isinstance(value, list | tuple) else [None]
    found = [step for step in steps if step is not None]
    if len(found) < len(steps):
        raise InputError(f"{column} must be a list of names of tools, not {value!r:.60}")
    return found


def _from_text(text: str) -> JSON:
    if not text.lstrip().startswith("["):
        return [name.strip() for name in text.split(",") if name.strip()]
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value


def _step(item: JSON) -> Mapping[str, JSON] | None:
    if isinstance(item, str) and item:
        return {"tool": item, "arguments": None}
    if not isinstance(item, Mapping):
        return None
    name = item.get("tool", item.get("name"))
    return {"arguments": None, **item, "tool": name} if isinstance(name, str) and name else None


def _read(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check tools.registry") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save the file as UTF-8") from error
    try:
        if path.suffix in (".yaml", ".yml"):
            return load_yaml(text)
        if path.suffix in (".jsonl", ".ndjson"):
            return [orjson.loads(line) for line in text.splitlines() if line.strip()]
        return orjson.loads(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not a readable registry ({' '.join(str(error).split())}); fix the file") from error


def _entries(content: object, path: Path) -> Iterable[tuple[str | None, Mapping[str, JSON]]]:
    """Yield name and entry of every tool. A mapping with the one key `tools` holds the list or the mapping there."""
    if isinstance(content, Mapping) and set(content) == {"tools"}:
        content = content["tools"]
    named: list[tuple[str | None, object]] = []
    if isinstance(content, Mapping):
        named = [(str(name), entry) for name, entry in content.items()]
    elif isinstance(content, list):
        named = [(None, entry) for entry in content]
    entries = [(name, entry) for name, entry in named if isinstance(entry, Mapping)]
    if not entries or len(entries) < len(named):
        raise InputError(f"{path}: must be a list of tools or a mapping of names to tools, each an object")
    return entries


def as_tool(name: str | None, entry: Mapping[str, JSON]) -> Tool:
    """Convert an entry to an OpenAI tool. Raises InputError with the reason only."""
    function = entry.get("function")
    entry = function if isinstance(function, Mapping) else entry
    own_name = name or entry.get("name")
    if not isinstance(own_name, str) or not own_name:
        raise InputError("a tool has no name; write {name, description, parameters}")
    described: dict[str, JSON] = {"name": own_name}
    if entry.get("description"):
        described["description"] = entry["description"]
    given = next((entry[key] for key in SCHEMAS if entry.get(key) is not None), None)
    if given is not None:
        described["parameters"] = _schema(own_name, given)
    return {"type": "function", "function": described}


def _schema(tool: str, given: JSON) -> Mapping[str, JSON]:
    """Return the JSON schema of parameters; a list of parameters becomes the schema of an object."""
    if isinstance(given, Mapping):
        return checked_schema(tool, given)
    parameters = [item for item in given if isinstance(item, Mapping)] if isinstance(given, list | tuple) else None
    if parameters is None or not all(isinstance(item.get("name"), str) for item in parameters):
        raise InputError(
            f"the parameters of {tool} must be a JSON schema, or a list of {{name, type, description, required}}"
        )
    properties: dict[str, JSON] = {str(item["name"]): _property(item) for item in parameters}
    required: list[JSON] = [item["name"] for item in parameters if item.get("required")]
    return checked_schema(tool, {"type": "object", "properties": properties, "required": required})


def checked_schema(tool: str, schema: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Return the schema of a tool's parameters. Raises InputError with the reason only where it is no JSON schema of an object."""
    refuse_other_objects(tool, schema)
    if schema.get("type", "object") != "object":
        raise InputError(
            f"the parameters of {tool} have the type {schema['type']!r}; a tool takes an object: write type: object"
        )
    from jsonschema import Draft202012Validator, SchemaError  # 90 ms to import

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join(map(str, error.absolute_path))
        reason = error.message if len(error.message) < 200 else "is invalid"
        if place.rpartition(".")[2] == "type":
            reason = f"unknown type {error.instance!r}; {suggestion(str(error.instance), TYPES)}"
        raise InputError(f"the parameters of {tool} are no JSON schema: {place}: {reason}") from error
    return schema


def refuse_other_objects(tool: str, schema: JSON) -> None:
    """Raise InputError where parameters are no schema at first sight: a text, a list, or a mapping of parameters."""
    if not isinstance(schema, Mapping):
        raise InputError(f"the parameters of {tool} must be a JSON schema, not {schema!r:.60}")
    if schema and not OF_A_SCHEMA & set(schema):
        name = next(iter(schema))
        raise InputError(
            f"the parameters of {tool} are no JSON schema; "
            f"write {{type: object, properties: {{{name}: {{type: string}}}}, required: [{name}]}}"
        )


def _property(parameter: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return {key: parameter[key] for key in OF_A_PARAMETER if parameter.get(key) is not None}
