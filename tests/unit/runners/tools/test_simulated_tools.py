"""Simulated tools: what they answer, how they fail, and what reaches no tool at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from providers.messages import JSON, Tool
from runners.tools.reliability import Reliability
from runners.tools.simulated_tools import FAILURE_KINDS, SimulatedTools, ToolResult, no_function
from runners.user_code_error import UserCodeError
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

pytestmark = pytest.mark.looptime

TOOLS: Sequence[Tool] = [{"type": "function", "function": {"name": name}} for name in ("look", "convert", "own")]
RESULTS: JSON = {
    "look": {"result": "sunny"},
    "convert": {"cases": [{"arguments": {"amount": 5}, "result": {"usd": 5.5}}]},
    "own": {"function": "mine:own"},
}


def a_sample(rate: float = 1.0, seed: int = 7, results: JSON = RESULTS) -> Sample:
    task = Task("t", ({"role": "user", "content": "?"},), tools=TOOLS, metadata={"tool_results": results})
    return Sample(0, "s0", task, Cell("m", "baseline", rate), 0, seed)


async def called(tools: SimulatedTools, name: str, arguments: str = "{}") -> ToolResult:
    return await tools.call({"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}})


def the_tools(rate: float = 1.0, *kinds: str, **sample: Any) -> SimulatedTools:
    return SimulatedTools(a_sample(rate, **sample), no_function, kinds or FAILURE_KINDS)


async def test_a_tool_answers_what_the_task_declares() -> None:
    tools = the_tools()
    assert await called(tools, "look") == ToolResult("sunny")
    assert await called(tools, "convert", '{"amount": 5}') == ToolResult('{"usd":5.5}')
    assert await called(tools, "convert", '{"amount": 6}') == ToolResult(
        '{"error":"nothing is known for these arguments"}'
    )


@pytest.mark.parametrize("arguments", ['"{\\"amount\\": 5}"', '{"amount": 5}'])
async def test_arguments_that_a_server_encodes_twice_are_read(arguments: str) -> None:
    assert await called(the_tools(), "convert", arguments) == ToolResult('{"usd":5.5}')


@pytest.mark.parametrize("arguments", ["", " ", "null", '""'])
async def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    assert await called(the_tools(), "look", arguments) == ToolResult("sunny")


async def test_a_tool_of_which_the_task_says_nothing_acknowledges() -> None:
    assert await called(the_tools(results={}), "look", "") == ToolResult('{"status":"success"}')


@pytest.mark.parametrize(
    ("name", "arguments", "rejection", "says"),
    [
        ("lok", "{}", "unknown_tool", "there is no tool 'lok'; the tools are: convert, look, own"),
        ("look", '{"city": ', "bad_arguments", "the arguments are not valid JSON"),
        ("look", "[1]", "bad_arguments", "must be a JSON object"),
        ("", "what?", "unreadable", "this is no call of a tool"),
    ],
)
async def test_a_call_that_reaches_no_tool_is_told_so(name: str, arguments: str, rejection: str, says: str) -> None:
    result = await called(the_tools(0.0), name, arguments)
    assert (result.rejection, result.failure) == (rejection, None)
    assert says in orjson.loads(result.content)["error"]


async def test_what_was_rejected_does_not_change_what_fails_afterwards() -> None:
    clumsy, able = the_tools(0.5), the_tools(0.5)
    await called(clumsy, "nothing")
    await called(clumsy, "look", "{")
    await called(clumsy, "convert", '{"amount": 5}')
    assert [await called(clumsy, "look") for _ in range(30)] == [await called(able, "look") for _ in range(30)]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("error", '{"error":"look failed with an internal error"}'),
        ("timeout", '{"error":"look timed out after 30 s"}'),
        ("empty", "{}"),
        ("malformed", '{"result":"s'),
        ("stale", '{"warning":"from a cache of 30 days ago, not up to date","result":"sunny"}'),
    ],
)
async def test_every_kind_of_failure_shows_itself_and_nothing_waits(kind: str, content: str) -> None:
    before = asyncio.get_running_loop().time()
    assert await called(the_tools(0.0, kind), "look") == ToolResult(content, failure=kind)
    assert asyncio.get_running_loop().time() == before


@pytest.mark.parametrize("result", ["", 0, None, [], {}, "x"])
async def test_a_malformed_result_is_never_json(result: JSON) -> None:
    spoilt = await called(the_tools(0.0, "malformed", results={"look": {"result": result}}), "look")
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(spoilt.content)


async def test_all_kinds_occur() -> None:
    tools = the_tools(0.0)
    assert {(await called(tools, "look")).failure for _ in range(100)} == set(FAILURE_KINDS)


# ------------------------------------------------------------------ a person's own
def with_function(function: Any) -> SimulatedTools:
    return SimulatedTools(a_sample(), {"mine:own": function}.__getitem__)


async def test_a_persons_own_tool_gets_the_arguments() -> None:
    async def slow(arguments: Mapping[str, JSON]) -> JSON:
        await asyncio.sleep(1)
        return {"seen": arguments}

    def quick(arguments: Mapping[str, JSON]) -> JSON:
        return list(arguments)

    assert await called(with_function(slow), "own", '{"a": 1}') == ToolResult('{"seen":{"a":1}}')
    assert await called(with_function(quick), "own", '{"a": 1}') == ToolResult('["a"]')


async def test_a_tool_that_raises_is_its_authors_error() -> None:
    def broken(arguments: Mapping[str, JSON]) -> JSON:
        raise KeyError("city")

    with pytest.raises(UserCodeError, match="the tool mine:own raised KeyError on task t: 'city'"):
        await called(with_function(broken), "own")


async def test_a_tool_that_returns_no_json_is_its_authors_error() -> None:
    with pytest.raises(UserCodeError, match="the tool mine:own returned what JSON cannot hold on task t"):
        await called(with_function(lambda arguments: object()), "own")


# ------------------------------------------------------------------ the rate of a call
async def test_a_rate_of_its_own_decides_one_call() -> None:
    tools = the_tools(1.0, "error")
    call = {"function": {"name": "look", "arguments": "{}"}}
    assert (await tools.call(call, success_rate=0.0)).failure == "error"
    assert (await tools.call(call, success_rate=1.0)).failure is None
    assert (await tools.call(call)).failure is None


@pytest.mark.parametrize(
    ("rule", "base", "missing", "failures", "rate"),
    [
        (Reliability(), 0.8, 3, 3, 0.8),
        (Reliability(missing_dependency=0.5), 0.8, 2, 0, 0.2),
        (Reliability(after_failures=(0.9, 0.7)), 1.0, 0, 1, 0.9),
        (Reliability(after_failures=(0.9, 0.7)), 1.0, 0, 5, 0.7),
        (Reliability(missing_dependency=0.5, least=0.1, most=0.95), 0.8, 9, 0, 0.1),
        (Reliability(least=0.1, most=0.95), 1.0, 0, 0, 0.95),
    ],
)
def test_the_rate_of_a_call_follows_from_the_calls_before_it(
    rule: Reliability, base: float, missing: int, failures: int, rate: float
) -> None:
    assert rule.rate_of(base, missing, failures) == pytest.approx(rate)


async def test_a_tool_whose_dependency_has_not_succeeded_fails_until_it_has() -> None:
    task = Task("t", (), tools=TOOLS, metadata={"tool_dependencies": {"look": ["convert"]}})
    sample = Sample(0, "s0", task, Cell("m", "baseline", 1.0), 0, 7)
    tools = SimulatedTools(sample, no_function, ["error"], Reliability(missing_dependency=0.0))
    endings = [(await called(tools, name)).failure for name in ("look", "convert", "look")]
    assert endings == ["error", None, None]
