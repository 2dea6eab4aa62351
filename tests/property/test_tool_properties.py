"""Simulated failures: monotone in the success rate, the same for every model and prompt type, and as frequent as said."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from providers.messages import JSON
from runners.tools.call_body import ReadCall
from runners.tools.simulated_tools import FAILURE_KINDS, SimulatedTools, draw_failure
from runners.tools.text_calls import read_calls
from runners.tools.text_format import TextProtocol
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

RATES = st.floats(0, 1)
SEEDS = st.integers(0, 2**63 - 1)
TOOLS = [{"name": "a"}, {"name": "b"}, {"name": "c"}]


@given(SEEDS, st.text(max_size=10), st.integers(0, 50), RATES, RATES)
def test_a_call_that_fails_at_a_rate_fails_the_same_way_at_every_lower_one(
    seed: int, tool: str, earlier: int, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    at_high = draw_failure(seed, tool, earlier, high, FAILURE_KINDS)
    if at_high is not None:
        assert draw_failure(seed, tool, earlier, low, FAILURE_KINDS) == at_high


@given(SEEDS, st.text(max_size=10), st.integers(0, 50))
def test_a_perfect_tool_never_fails_and_a_hopeless_one_always(seed: int, tool: str, earlier: int) -> None:
    assert draw_failure(seed, tool, earlier, 1.0, FAILURE_KINDS) is None
    assert draw_failure(seed, tool, earlier, 0.0, FAILURE_KINDS) is not None


@given(SEEDS, RATES, st.lists(st.sampled_from("abcx"), max_size=20), st.randoms(use_true_random=False))
async def test_the_nth_call_of_a_tool_ends_alike_for_every_model_and_in_any_order(
    seed: int, rate: float, calls: list[str], random: object
) -> None:
    shuffled = sorted(calls, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert await endings(seed, rate, calls, "m", "baseline") == await endings(seed, rate, shuffled, "n", "cot")


async def endings(seed: int, rate: float, calls: list[str], model: str, prompt_type: str) -> dict[tuple[str, int], str]:
    """What the n-th call of each tool gave."""
    task = Task("t", ({"role": "user", "content": "?"},), tools=TOOLS)
    tools = SimulatedTools(Sample(0, "s", task, Cell(model, prompt_type, rate), 0, seed), lambda _: len)
    found: dict[tuple[str, int], str] = {}
    for place, name in enumerate(calls):
        result = await tools.call({"function": {"name": name, "arguments": "{}"}})
        found[name, calls[:place].count(name)] = result.content
    return found


def test_tools_fail_as_often_as_the_rate_says() -> None:
    draws = 20_000
    for rate in (0.9, 0.8, 0.7, 0.6):
        worked = sum(draw_failure(seed, "tool", 0, rate, FAILURE_KINDS) is None for seed in range(draws))
        assert abs(worked / draws - rate) < 4 * (rate * (1 - rate) / draws) ** 0.5


KNOWN = ("look", "math.area", "send email")
PIECES = st.sampled_from(
    ["<tool_call>", "</tool_call>", "<think>", "</think>", "<tool_name>", "```json\n", "```", "look", "math.area", "{", "}", "[", "]", '"',
     "'", "\\", "=", ":", ",", "(", ")", "\n", " ", "name", "arguments", "\ud800", "1" * 5_000, "NaN", "x="]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_is_read_and_the_arguments_of_every_call_are_text(text: str) -> None:
    for call in read_calls(text, KNOWN, "tool_call"):
        assert isinstance(call.arguments, str)
        assert isinstance(call.name, str)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(KNOWN), st.dictionaries(st.text(max_size=8), VALUES, max_size=4), st.text())
def test_what_the_instructions_ask_for_is_read_as_it_was_meant(
    name: str, arguments: dict[str, JSON], prose: str
) -> None:
    text = prose.replace("<", "") + TextProtocol().write_call(name, arguments)
    if not any("<" in part for part in (orjson.dumps(arguments).decode(),)):
        assert read_calls(text, KNOWN, "tool_call") == [ReadCall(name, orjson.dumps(arguments).decode())]
