"""Tools from a registry, and the plans that follow from names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import orjson
import pytest
import yaml

from providers.errors import InputError
from providers.messages import JSON
from sharding.tasks.sources import SourceSpec, open_tasks
from sharding.tasks.task import Task
from sharding.tasks.tool_plan import plan_of, tool_name
from sharding.tasks.tool_registry import RegistrySpec, as_tool, listed_steps

LISTED: JSON = [
    {"name": "source", "type": "string", "description": "Where from.", "required": True, "default": None},
    {"name": "options", "type": "object", "required": False, "default": {}},
]
SCHEMA: JSON = {
    "type": "object",
    "properties": {
        "source": {"type": "string", "description": "Where from."},
        "options": {"type": "object", "default": {}},
    },
    "required": ["source"],
}
REGISTRY: Mapping[str, JSON] = {
    "read": {"name": "read", "description": "Read.", "parameters": LISTED, "dependencies": [], "errors": ["no file"]},
    "parse": {"description": "Parse.", "dependencies": ["read"]},
    "write": {"description": "Write.", "dependencies": ["parse"]},
}


def the_task(
    folder: Path, row: Mapping[str, JSON], offer: Literal["named", "all"] = "named", name: str = "tools.json"
) -> Task:
    content = yaml.safe_dump(dict(REGISTRY)).encode() if name.endswith("yaml") else orjson.dumps(REGISTRY)
    (folder / name).write_bytes(content)
    (folder / "tasks.jsonl").write_bytes(orjson.dumps({"id": "t", "input": "?", **row}))
    spec = RegistrySpec(folder / name, "needs.tools", offer)
    return open_tasks([SourceSpec(folder / "tasks.jsonl", tools=spec)])[0]


@pytest.mark.parametrize("name", ["tools.json", "tools.yaml"])
def test_a_task_gets_the_tools_that_it_names_and_a_plan_with_any_arguments(tmp_path: Path, name: str) -> None:
    task = the_task(tmp_path, {"needs": {"tools": ["read", "parse", "read"]}}, name=name)
    assert [tool_name(tool) for tool in task.tools] == ["read", "parse"]
    assert task.tools[0] == {
        "type": "function", "function": {"name": "read", "description": "Read.", "parameters": SCHEMA},
    }  # fmt: skip
    assert str(plan_of(task)) == "1. read\n2. parse\n3. read"
    assert task.metadata is not None
    assert task.metadata["tool_dependencies"] == {"parse": ["read"]}


def test_the_whole_registry_may_be_offered_and_a_plan_of_the_task_stays(tmp_path: Path) -> None:
    own: JSON = [{"tool": "parse", "arguments": {"n": 1}}]
    task = the_task(tmp_path, {"needs": {"tools": ["read"]}, "metadata": {"plan": own}}, "all")
    assert [tool_name(tool) for tool in task.tools] == ["read", "parse", "write"]
    assert str(plan_of(task)) == "1. parse(n=1)"


def test_a_task_that_names_no_tools_has_none(tmp_path: Path) -> None:
    task = the_task(tmp_path, {"needs": None})
    assert (task.tools, plan_of(task)) == ([], None)


def test_the_registry_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    the_task(tmp_path, {"needs": {"tools": ["read"]}})
    spec = SourceSpec(tmp_path / "tasks.jsonl", tools=RegistrySpec(tmp_path / "tools.json", "needs.tools"))
    before = open_tasks([spec]).fingerprint
    (tmp_path / "tools.json").write_bytes(orjson.dumps({**REGISTRY, "read": {"description": "Read now."}}))
    assert open_tasks([spec]).fingerprint != before


def test_an_unknown_tool_is_refused_with_file_line_and_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"tasks.jsonl, line 1: needs.tools names the tool 'raed'; did you mean \"read\""
    ):
        the_task(tmp_path, {"needs": {"tools": ["raed"]}})


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (["a", "b"], ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        ("a, b", ["a", "b"]),
        ([{"tool": "a", "arguments": {"x": 1}}, {"name": "b"}], ["a", "b"]),
        (None, []),
        ("", []),
    ],
)
def test_names_come_in_any_form(value: JSON, names: list[str]) -> None:
    assert [step["tool"] for step in listed_steps(value, "c")] == names


@pytest.mark.parametrize("value", [7, {"a": 1}, [1], [""], [{}], "[broken"])
def test_a_column_of_something_else_is_refused(value: JSON) -> None:
    with pytest.raises(InputError, match="c must be a list of names of tools"):
        listed_steps(value, "c")


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "function", "function": {"name": "read", "parameters": SCHEMA}},
        {"name": "read", "parameters": SCHEMA},
        {"name": "read", "input_schema": SCHEMA},
        {"name": "read", "inputSchema": SCHEMA},
        {"name": "read", "parameters": LISTED},
    ],
)
def test_tools_of_every_common_form_are_read(entry: Mapping[str, JSON]) -> None:
    assert as_tool(None, entry) == {"type": "function", "function": {"name": "read", "parameters": SCHEMA}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not a readable registry"),
        (b"[]", "must be a list of tools or a mapping"),
        (b'["a"]', "must be a list of tools or a mapping"),
        (b'[{"description": "x"}]', "a tool has no name"),
        (b'[{"name": "a", "parameters": 3}]', "the parameters of a must be a JSON schema"),
        (b'[{"name": "a", "parameters": {"city": "string"}}]', "properties: {city: {type: string}}, required: "),
        (b'[{"name": "a", "parameters": {"type": "dict"}}]', "have the type 'dict'; .* write type: object"),
        (
            b'[{"name": "a", "parameters": {"type": "object", "properties": {"n": {"type": "str"}}}}]',
            "the parameters of a are no JSON schema: properties.n.type: unknown type 'str'; .*string",
        ),
        (
            b'[{"name": "a", "parameters": [{"name": "n", "type": "int"}]}]',
            "properties.n.type: unknown type 'int'; .*integer",
        ),
        (
            b'[{"name": "a", "parameters": {"type": "object", "properties": []}}]',
            "properties: .* is not of type 'object'",
        ),
    ],
)
def test_a_registry_that_cannot_be_read_is_refused_with_its_file(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "tools.json").write_bytes(content)
    (tmp_path / "tasks.jsonl").write_text('{"input": "?"}')
    spec = SourceSpec(tmp_path / "tasks.jsonl", tools=RegistrySpec(tmp_path / "tools.json", "names"))
    with pytest.raises(InputError, match=f"tools.json: .*{reason}"):
        open_tasks([spec])
