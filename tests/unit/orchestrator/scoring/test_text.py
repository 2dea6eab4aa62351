"""What the built-in comparisons accept, case by case."""

from __future__ import annotations

import pytest

from orchestrator.scoring.text import exact, includes, numeric
from providers.messages import JSON


@pytest.mark.parametrize(
    ("text", "target", "grade"),
    [
        ("Paris", "Paris", "full"),
        ("  paris\n", "Paris", "full"),
        ("New   York", "new york", "full"),
        ("STRASSE", "straße", "full"),
        ("Paris.", "Paris", "failed"),
        ("It is Paris", "Paris", "failed"),
        ("", "Paris", "failed"),
        ("", "", "full"),
        ("7", 7, "full"),
        ("b", ["a", "B"], "full"),
        ("c", ["a", "B"], "failed"),
        ("True", True, "full"),
        ("3", 3.0, "full"),
        ("3", "3.0", "full"),
        ("3.0", "3.0", "full"),
        ("42", {"text": ["42"], "answer_start": [3]}, "full"),
    ],
)
def test_exact_folds_case_and_white_space_only(text: str, target: JSON, grade: str) -> None:
    assert exact(text, target).grade == grade


@pytest.mark.parametrize(
    ("text", "target", "grade"),
    [
        ("The capital is Paris.", "paris", "full"),
        ("in New\nYork", "new york", "full"),
        ("The capital is Rome.", "Paris", "failed"),
        ("", "Paris", "failed"),
        ("either B or C", ["A", "C"], "full"),
        ("the answer: 42", 42, "full"),
    ],
)
def test_includes_looks_anywhere(text: str, target: JSON, grade: str) -> None:
    assert includes(text, target).grade == grade


@pytest.mark.parametrize(
    ("text", "target", "grade", "error"),
    [
        ("#### 18", "Janet sells 9 eggs.\n#### 18", "full", None),
        ("It is 18.", "Janet sells 9 eggs.\n#### 18", "full", None),
        ("18.0", 18, "full", None),
        ("$1,200", "1200", "full", None),
        ("1200", "1,200", "full", None),
        ("50%", "50", "full", None),
        ("50 %", "0.5", "full", None),
        ("0.5", "50%", "full", None),
        ("50", "0.5", "failed", "wrong_answer"),
        ("3/4", "0.75", "full", None),
        ("-5", -5, "full", None),
        ("5", -5, "failed", "wrong_answer"),
        ("0.3333333", 1 / 3, "full", None),
        ("0.33", 1 / 3, "failed", "wrong_answer"),
        ("19", "18", "failed", "wrong_answer"),
        ("181", "18", "failed", "wrong_answer"),
        ("eighteen", "18", "failed", "format"),
        ("", "18", "failed", "format"),
        ("12", ["10", "12"], "full", None),
        ("12", "a dozen", "failed", "wrong_answer"),
        ("1e9999999", "12", "failed", "wrong_answer"),
    ],
)
def test_numeric_compares_numbers_however_they_are_written(
    text: str, target: JSON, grade: str, error: str | None
) -> None:
    score = numeric(text, target)
    assert (score.grade, score.error_class) == (grade, error)
    assert score.value == (1.0 if grade == "full" else 0.0)
