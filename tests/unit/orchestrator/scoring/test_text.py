"""What the built-in comparisons accept, case by case."""

from __future__ import annotations

import pytest

from orchestrator.scoring.text import NO_ANSWER, exact, includes, numeric
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
    ("text", "number"),
    [
        ("#### 18", "18"),
        ("9 * 2 = $<<9*2=18>>18 every day at the market.\n#### 18", "18"),
        ("#### 1,200", "1200"),
        ("#### $1,234,567.50", "1234567.50"),
        ("#### -3", "-3"),
        ("The answer is $12.50.", "12.50"),
        ("Answer: 45%", "45"),
        ("The answer is: 7 apples and nothing else of 3 kinds", "7"),
        ("First answer: 3. No, the answer is 4.", "4"),
        ("We get 5 and then 6", "6"),
        ("so it is -17", "-17"),
        ("x = +8", "8"),
        ("1e3", "1e3"),
        ("0.000001", "0.000001"),
        ("12,", "12"),
        ("I answer with words", None),
        ("", None),
        ("the answer is unknown, though I counted 9", "9"),
        ("a range of 5-7", "7"),
        ("x is \u22125", "-5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("€ 3 and £1,000.5", "1000.5"),
        ("take 1,2,3", "3"),
        ("1'000'000 francs", "1000000"),
        ("12\u202f500 francs", "12500"),
        ("3/4 of it", "0.75"),
        (r"\\frac{1}{4}", "0.25"),
        ("1/0", None),
        ("f(2)-3", "3"),
        (".5", "0.5"),
        ("4 %", "4"),
        ("2026-11-21", "21"),
    ],
)
def test_the_number_of_an_answer_is_the_marked_one_or_the_last(text: str, number: str | None) -> None:
    if number is None:
        assert numeric(text, "5") == NO_ANSWER
    else:
        assert numeric(text, number).grade == "full"
        assert numeric(text, str(float(number) * 1.1 + 0.1)).error_class == "wrong_answer"


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
