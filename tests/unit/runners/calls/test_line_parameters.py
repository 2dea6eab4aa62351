"""A line's own parameters over those of the run."""

from __future__ import annotations

import pytest

from providers.messages import JSON, Generation
from runners.calls.line_parameters import with_parameters

RUN = Generation(max_tokens=512, temperature=0.0, extra_body={"user": "run"})


@pytest.mark.parametrize(
    ("parameters", "own", "expected"),
    [
        ({}, (), RUN),
        ({"temperature": 0.7, "max_tokens": 5}, (), Generation(5, 0.7, extra_body={"user": "run"})),
        ({"temperature": 0.7, "max_tokens": 5}, ("temperature", "max_tokens"), RUN),
        (
            {"max_completion_tokens": 5},
            (),
            Generation(512, 0.0, extra_body={"max_completion_tokens": 5, "user": "run"}),
        ),
        ({"max_completion_tokens": 5}, ("max_tokens",), RUN),
        ({"stop": "END", "top_p": 0.5}, (), Generation(512, 0.0, 0.5, ("END",), extra_body={"user": "run"})),
        (
            {"logit_bias": {"1": 2}, "logprobs": True, "seed": 3},
            (),
            Generation(512, 0.0, seed=3, extra_body={"logit_bias": {"1": 2}, "logprobs": True, "user": "run"}),
        ),
    ],
)
def test_a_lines_parameters_win_over_the_run_and_lose_to_the_model(
    parameters: dict[str, JSON], own: tuple[str, ...], expected: Generation
) -> None:
    assert with_parameters(RUN, parameters, own) == expected
