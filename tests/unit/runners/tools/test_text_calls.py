"""Calls in the text of a reply, as models really write them."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest

from runners.tools.call_body import KEPT_CHARACTERS, ReadCall
from runners.tools.text_calls import read_calls, without_thinking

KNOWN = ("look", "look_up", "math.area", "send email", "name")
PARIS = '{"city":"Paris"}'
OPEN, CLOSE = "<tool_call>", "</tool_call>"


def read(text: str, known: tuple[str, ...] = KNOWN) -> list[tuple[str, str]]:
    return [(call.name, call.arguments) for call in read_calls(text, known, "tool_call")]


@pytest.mark.parametrize(
    ("body", "name", "arguments"),
    [
        # a name
        ("look", "look", "{}"),
        ("\n look \n", "look", "{}"),
        ("look_up", "look_up", "{}"),
        ("math.area", "math.area", "{}"),
        ("send email", "send email", "{}"),
        ("`look`", "look", "{}"),
        ("look.", "look", "{}"),
        ("name: look", "look", "{}"),
        ("name", "name", "{}"),
        ("look\nI look at the weather now.", "look", "{}"),
        # a name with arguments
        ('look\n{"city": "Paris"}', "look", PARIS),
        ('look {"city": "Paris"} and so on', "look", PARIS),
        ('look: {"city": "Paris"}', "look", PARIS),
        ('look\n```json\n{"city": "Paris"}\n```', "look", PARIS),
        ('look\n{"city": "Par\nis"}', "look", '{"city":"Par\\nis"}'),
        ('look city="Paris"', "look", PARIS),
        ("look city=Paris", "look", PARIS),
        ("look city='Paris', days=2, exact=true", "look", '{"city":"Paris","days":2,"exact":true}'),
        ("look\ncity: Paris", "look", PARIS),
        ("look\ncity: New York\ndays: 2", "look", '{"city":"New York","days":2}'),
        ('look filter={"a": [1]} days=2', "look", '{"filter":{"a":[1]},"days":2}'),
        ('look(city="Paris")', "look", PARIS),
        ('look(city="a \\"b\\"")', "look", '{"city":"a \\"b\\""}'),
        ('look({"city": "Paris"})', "look", PARIS),
        ("look()", "look", "{}"),
        # a name in tags
        ("<tool_name>look</tool_name>", "look", "{}"),
        ("look</tool_name>", "look", "{}"),
        ('look</tool_name>\n<parameters>{"city": "Paris"}</parameters>', "look", PARIS),
        ("<function=look>", "look", "{}"),
        # JSON
        ('{"name": "look", "arguments": {"city": "Paris"}}', "look", PARIS),
        ('{"name": "look", "arguments": "{\\"city\\":\\"Paris\\"}"}', "look", PARIS),
        ('{"name": "look", "parameters": {"city": "Paris"}}', "look", PARIS),
        ('{"tool": "look", "parameters": {"city": "Paris"}}', "look", PARIS),
        ('{"tool_name": "look", "args": {"city": "Paris"}}', "look", PARIS),
        ('{"function": {"name": "look", "arguments": {"city": "Paris"}}}', "look", PARIS),
        ('{"look": {"city": "Paris"}}', "look", PARIS),
        ('{"name": "look"}', "look", "{}"),
        ('{"name": "look", "arguments": null}', "look", "{}"),
        ('{"name": "look", "arguments": {"city": "Paris"}} I call it now.', "look", PARIS),
        ('```json\n{"name": "look", "arguments": {"city": "Paris"}}\n```', "look", PARIS),
        ('{"name": "lok", "arguments": {}}', "lok", "{}"),
        ('{"name": "look", "arguments": {"n": 123456789012345678901234567890}}', "look", '{"n":1.2345678901234568e+29}'),
        # arguments that cannot be read stay as they are
        ('look\n{"city": "Paris"', "look", '{"city": "Paris"'),
        ("look(Paris)", "look", "(Paris)"),
        ("look\nfilter: {city: Paris}", "look", "filter: {city: Paris}"),
        # no call of a known tool
        ("", "", ""),
        ("lok", "", "lok"),
        ("look_zz city=Paris", "", "look_zz city=Paris"),
        ("lookcity=Paris", "", "lookcity=Paris"),
        ("I look", "", "I look"),
        ("[1]", "", "[1]"),
        ('{"name": 3}', "", '{"name": 3}'),
        ('{"name": "look"', "", '{"name": "look"'),
    ],
)  # fmt: skip
def test_a_call_is_read_as_it_was_meant_with_and_without_its_end_tag(body: str, name: str, arguments: str) -> None:
    assert read(f"Let me see. {OPEN}{body}{CLOSE} Thanks.") == [(name, arguments)]
    assert read(f"Let me see. {OPEN}{body}") == [(name, arguments)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{OPEN}look{CLOSE}\n{OPEN}look_up{CLOSE}", ["look", "look_up"]),
        (f"{OPEN}look\n{OPEN}look_up", ["look", "look_up"]),
        (f'{OPEN}[{{"name": "look"}}, {{"name": "look_up"}}]{CLOSE}', ["look", "look_up"]),
        (f"{OPEN}look{CLOSE} {OPEN}what?{CLOSE}", ["look", ""]),
        ("<TOOL_CALL>look</TOOL_CALL>", []),
        ('<tool_call id="1">look</tool_call>', ["look"]),
        ("<tool_calls>look</tool_calls>", []),
        ("<tool_name>look</tool_name> <tool_name>look_up</tool_name>", ["look", "look_up"]),
        ("<tool_name>lok</tool_name>", []),
        ('```json\n{"name": "look", "arguments": {}}\n```', ["look"]),
        ('First ```\n{"name": "look"}\n``` then ```json\n{"tool": "look_up"}```', ["look", "look_up"]),
        ('{"name": "look", "arguments": {}}', ["look"]),
        ('{"name": "Ann", "age": 7}', []),
        ('The answer is ```json\n{"name": "Ann"}\n```', []),
        ("I would look.", []),
        (f"<think>{OPEN}look{CLOSE}</think>Done.", []),
        (f"<think>hm</think>{OPEN}look{CLOSE}", ["look"]),
        (f"{OPEN}look_up{CLOSE}</think>{OPEN}look{CLOSE}", ["look"]),
        (f"{OPEN}look{CLOSE}<think>{OPEN}look_up{CLOSE}", ["look"]),
        ("", []),
    ],
)
def test_the_calls_of_a_text_are_found(text: str, names: list[str]) -> None:
    assert [name for name, _ in read(text)] == names


def test_without_known_tools_only_json_names_a_tool() -> None:
    assert read(f'{OPEN}{{"name": "look"}}{CLOSE}{OPEN}look{CLOSE}', ()) == [("look", "{}"), ("", "look")]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a<think>b</think>c", "ac"),
        ("<thinking>b</thinking>c", "c"),
        ("b</think>c", "c"),
        ("a<think>b", "a"),
        ("a<think>b<think>c</think>d</think>e", "e"),
        ("plain", "plain"),
    ],
)
def test_thinking_is_removed(text: str, rest: str) -> None:
    assert without_thinking(text) == rest


def test_an_unreadable_call_keeps_its_start() -> None:
    assert read_calls(OPEN + "x" * 5_000, KNOWN, "tool_call") == [ReadCall("", "x" * KEPT_CHARACTERS)]


LENGTH = 200_000
HOSTILE = [
    "<tool_call>", "</tool_call>", "<tool_call ", "<tool_call>look ", "<tool_name>look", "<think>", "</think>", "<think></think>",
    "```", "```json\n{", "look ", "look(", '{"name": ', '{"a":', "[", "[1,", "{", '"', "'", "\\", 'x="', "x='\\'", "x=[", 'x={"',
    "x: {\n", "x=1,", "name: ", "`", " ", "\n", "1",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize(
    "start", ["", "<tool_call>", "<tool_call>look ", "<tool_call>look(x=", '<tool_call>{"name": "look", "arguments": ']
)
def test_hostile_text_is_read_in_one_pass(start: str, piece: str) -> None:
    read(start + piece * (LENGTH // len(piece)))


SHAPES = Path(__file__).parents[5] / "shared" / "data" / "workflow" / "tool_call_shapes.jsonl"


@pytest.mark.skipif(not SHAPES.exists(), reason="recorded calls are no part of the project")
def test_recorded_shapes_are_read_as_a_person_reads_them() -> None:
    known = tuple(orjson.loads(SHAPES.with_name("tool_registry.json").read_bytes()))
    for line in SHAPES.read_text(encoding="utf-8").splitlines():
        shape = orjson.loads(line)
        calls = [(name, arguments) for name, arguments in read(shape["text"], known) if name]
        wanted = shape["name"] if isinstance(shape["name"], list) else [shape["name"]] if shape["name"] else []
        assert [name for name, _ in calls] == wanted, shape["shape"]
        if shape["arguments"] is not None:
            assert [json.loads(arguments) for _, arguments in calls] == [shape["arguments"]], shape["shape"]
