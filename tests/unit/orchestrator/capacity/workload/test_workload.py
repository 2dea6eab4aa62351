"""Requests of a load test: the same for a seed, as long as they should be."""

import random
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from orchestrator.capacity.workload.presets import PURPOSES, WORKLOADS
from orchestrator.capacity.workload.prompts import (
    FixedPrompts,
    Lengths,
    SyntheticPrompts,
    TokenCount,
    read_conversations,
    read_lengths,
    shuffled,
)
from orchestrator.capacity.workload.workload import STREAMED, Prompt, Workload
from providers.errors import InputError
from providers.messages import ChatRequest, Generation


def words_of(request: ChatRequest | Prompt) -> list[str]:
    return str(request.messages[0]["content"]).split()


def workload(prompts: SyntheticPrompts, generation: Generation = STREAMED) -> Workload:
    return Workload("synthetic", prompts.expected_tokens, prompts.output.mean, prompts, generation)


def test_a_request_is_a_function_of_seed_and_number() -> None:
    first, again, other = (workload(SyntheticPrompts(Lengths(50, 90), Lengths(5, 9), seed)) for seed in (1, 1, 2))
    assert [first.request(n) for n in range(20)] == [again.request(n) for n in reversed(range(20))][::-1]
    assert first.request(3) != other.request(3)
    assert first.request(3).messages != first.request(4).messages


def test_a_prompt_has_the_words_that_the_endpoint_counts_as_its_tokens() -> None:
    count = TokenCount(per_word=1.25, per_request=4)
    prompts = SyntheticPrompts(Lengths(512, 512), Lengths(128, 128), count=count)
    assert count.tokens(len(words_of(prompts(0)))) == pytest.approx(512, abs=1)
    assert prompts(0).max_tokens == 128


def test_lengths_are_drawn_over_the_whole_range() -> None:
    draws = random.Random(1)
    drawn = {Lengths(3, 6).draw(draws) for _ in range(200)}
    assert drawn == {3, 4, 5, 6}


def test_prompts_share_the_prefix_that_was_asked_for_and_nothing_more() -> None:
    prompts = SyntheticPrompts(Lengths(208, 208), Lengths(8, 8), prefix_ratio=0.5)
    first, second = words_of(prompts(0)), words_of(prompts(1))
    assert len(first) == 200
    assert first[:100] == second[:100]
    assert first[100:110] != second[100:110]


def test_what_all_requests_have_in_common_goes_out_with_each() -> None:
    generation = Generation(stream=True, top_p=0.9, extra_body={"ignore_eos": True})
    request = workload(SyntheticPrompts(Lengths(9, 9), Lengths(9, 9)), generation).request(0)
    assert request.generation == replace(generation, max_tokens=9)


@pytest.mark.parametrize(
    ("text", "ratio", "expected"),
    [("512", 0.0, Lengths(512, 512)), ("256:1024", 0.0, Lengths(256, 1024)), ("512", 0.2, Lengths(410, 614))],
)
def test_lengths_are_a_number_or_a_range(text: str, ratio: float, expected: Lengths) -> None:
    assert read_lengths(text, ratio) == expected


@pytest.mark.parametrize(
    ("text", "ratio"), [("many", 0.0), ("0", 0.0), ("9:3", 0.0), ("1:2", 0.5), ("5", 1.0), ("5", float("nan"))]
)
def test_a_length_that_is_none_is_one_sentence(text: str, ratio: float) -> None:
    with pytest.raises(InputError):
        read_lengths(text, ratio)


def test_a_list_of_prompts_repeats_in_the_order_of_the_seed() -> None:
    prompts = [Prompt([{"role": "user", "content": str(n)}]) for n in range(5)]
    order = shuffled(prompts, seed=1)
    assert isinstance(order, FixedPrompts)
    assert {str(order(n)) for n in range(5)} == {str(one) for one in prompts}
    assert order(7) == order(2)


def test_a_conversation_asks_its_first_question_for_as_many_tokens_as_its_answer_had(tmp_path: Path) -> None:
    turns = [
        {"from": "system", "value": "Be kind."},
        {"from": "human", "value": "What is it?"},
        {"from": "gpt", "value": "x" * 400},
    ]
    rows = [{"conversations": turns}, {"conversations": turns[:2]}, {"conversations": 7}, "none"]
    (tmp_path / "share.json").write_bytes(orjson.dumps(rows))
    (found,) = read_conversations(tmp_path / "share.json")
    assert words_of(found) == ["What", "is", "it?"]
    assert found.max_tokens == 100


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"a": 1}', b'[{"conversations": null}]'])
def test_a_file_without_conversations_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "share.json").write_bytes(content)
    with pytest.raises(InputError, match=r"share\.json"):
        read_conversations(tmp_path / "share.json")


def test_presets_hold_the_figures_that_they_promise() -> None:
    service = WORKLOADS["customer-service"]
    assert (service.max_concurrency, service.rate_per_s, service.input.mean, service.output.mean) == (50, 20, 256, 128)
    assert PURPOSES["planning"].concurrency(21) == 32
    assert PURPOSES["stability"].rate_per_s(20) == 16
    assert PURPOSES["limit"].climbs
