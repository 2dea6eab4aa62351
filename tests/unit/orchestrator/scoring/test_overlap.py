"""Token F1 and exact match as SQuAD computes them."""

from __future__ import annotations

import pytest

from orchestrator.scoring.overlap import exact_any, f1
from providers.messages import JSON


@pytest.mark.parametrize(
    ("text", "target", "value", "is_exact"),
    [
        ("The Eiffel Tower", "Eiffel Tower", 1.0, True),
        ("the eiffel tower.", ["Big Ben", "Eiffel Tower"], 1.0, True),
        ("It is the Eiffel Tower", "Eiffel Tower", 2 / 3, False),
        ("Paris", "Rome", 0.0, False),
        ("U.S.", "US", 1.0, True),
        ("", "Rome", 0.0, False),
        ("北京市", "北京", 0.8, False),
        ("10", {"text": ["10", "ten"], "answer_start": [0, 0]}, 1.0, True),
        ("the", "The", 1.0, True),
        ("big big dog", "big dog", 0.8, False),
    ],
)
def test_the_closest_accepted_answer_counts(text: str, target: JSON, value: float, is_exact: bool) -> None:
    score = f1(text, target)
    assert score.value == pytest.approx(value)
    assert score.grade == ("full" if value == 1 else "partial" if value else "failed")
    assert (exact_any(text, target).grade == "full") is is_exact
