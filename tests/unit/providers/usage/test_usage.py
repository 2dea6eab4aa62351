from __future__ import annotations

import pytest

from providers.messages import ChatRequest, Usage
from providers.usage.reported import complete_usage, find_usage, merge_usage, read_usage

REQUEST = ChatRequest([{"role": "user", "content": "x" * 384}])
SAID = {"prompt_tokens": 9, "completion_tokens": 5}


@pytest.mark.parametrize(
    "more",
    [
        {"prompt_tokens_details": {"cached_tokens": 4}},
        {"input_tokens_details": {"cached_tokens": 4}},
        {"cached_tokens": 4},
        {"num_cached_tokens": 4},
        {"cache_read_input_tokens": 4},
        {"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5},
        {"prompt_tokens_details": {"cached_tokens": 0}, "cached_tokens": 4},
        {"prompt_tokens_details": None, "num_cached_tokens": 4, "cached_tokens": None},
    ],
)
def test_cached_tokens_are_read_wherever_they_stand(more: dict[str, object]) -> None:
    assert read_usage(SAID | more) == Usage(9, 5, 4)


@pytest.mark.parametrize(
    ("total", "cached", "output"),
    [(14, 0, 5), (30, 0, 21), (9, 0, 5), (None, 0, 5), ("30", 0, 5), (4014, 4000, 5), (-1, 0, 5)],
)
def test_what_only_the_total_counts_is_output(total: object, cached: int, output: int) -> None:
    usage = read_usage(SAID | {"total_tokens": total, "cached_tokens": cached})
    assert usage == Usage(9, output, cached)


def test_reasoning_beside_the_completion_is_output() -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 228}}
    assert read_usage({"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 241} | details) == Usage(
        12, 229, 0, 228
    )


@pytest.mark.parametrize(
    ("body", "choice"), [({"x_groq": {"usage": SAID}}, {}), ({}, {"usage": SAID}), ({"x_groq": None}, {"usage": SAID})]
)
def test_usage_is_found_where_vendors_put_it(body: dict[str, object], choice: dict[str, object]) -> None:
    assert find_usage(body, choice) == Usage(9, 5)


@pytest.mark.parametrize("vendor", [None, 7, {}, {"usage": 7}])
def test_no_usage_is_found_where_there_is_none(vendor: object) -> None:
    assert find_usage({"x_groq": vendor}, {}) is None


@pytest.mark.parametrize(
    ("earlier", "later", "merged"),
    [
        (None, SAID, SAID),
        (SAID, None, SAID),
        (SAID, 7, SAID),
        (SAID, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, SAID),
        ({"prompt_tokens": 9, "completion_tokens": 1}, {"prompt_tokens": 0, "completion_tokens": 5}, SAID),
        (SAID, {"completion_tokens": None}, SAID),
        ({"d": {"a": 4, "b": 1}}, {"d": {"a": 0, "b": 2}}, {"d": {"a": 4, "b": 2}}),
    ],
)
def test_zeros_undo_no_earlier_count(earlier: object, later: object, merged: object) -> None:
    assert merge_usage(earlier, later) == merged


@pytest.mark.parametrize(
    ("said", "words", "expected"),
    [
        (None, "y" * 40, Usage(100, 10, estimated=True)),
        (Usage(0, 0), "y" * 40, Usage(100, 10, estimated=True)),
        (Usage(9, 0, 4), "y" * 40, Usage(9, 10, 4, estimated=True)),
        (Usage(0, 5, 0, 3), "y" * 40, Usage(100, 5, 0, 3, estimated=True)),
        (Usage(9, 0), "", Usage(9, 0)),
    ],
)
def test_a_zero_that_cannot_be_is_estimated(said: Usage | None, words: str, expected: Usage) -> None:
    assert complete_usage(said, REQUEST, words) == expected
