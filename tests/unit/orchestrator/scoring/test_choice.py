"""Which letter an answer settles on."""

from __future__ import annotations

import pytest

from orchestrator.scoring.choice import choice, chosen_letter
from providers.messages import JSON


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("**B**", "B"),
        ("B.", "B"),
        ("B. Paris", "B"),
        ("B) Paris", "B"),
        ("The answer is B.", "B"),
        ("The answer is (B) because A is too small.", "B"),
        ("The correct answer is **B**.", "B"),
        ("Answer: B", "B"),
        ("ANSWER: b", "B"),
        ("Final answer is option C", "C"),
        ("I first thought the answer is A. No: the answer is D.", "D"),
        ("I would choose option B here.", "B"),
        (r"so \boxed{C}", "C"),
        (r"\boxed{\text{C}}", "C"),
        ("答案是B", "B"),
        ("答案：C。", "C"),
        ("正确选项为（D）", "D"),
        ("应选 A", "A"),
        ("It must be (D), since (D) alone is prime.", "D"),
        ("After all, D fits.", "D"),
        ("The answer is a number that I do not know", None),
        ("The answer is A or B", None),
        ("The answer is B or B", "B"),
        ("(A) and (B) are both right", None),
        ("A good question. I have no idea.", None),
        ("I am not sure.", None),
        ("", None),
        ("The answer is 42.", None),
        ("Because", None),
    ],
)
def test_the_letter_is_read_however_it_is_written(text: str, letter: str | None) -> None:
    assert chosen_letter(text) == letter


@pytest.mark.parametrize(
    ("text", "target", "grade", "error"),
    [
        ("The answer is B", "B", "full", None),
        ("B", "(B)", "full", None),
        ("B", 1, "full", None),
        ("A", 0, "full", None),
        ("B", ["A", "B"], "full", None),
        ("C", "B", "failed", "wrong_answer"),
        ("Paris", "B", "failed", "format"),
        ("B", None, "failed", "wrong_answer"),
    ],
)
def test_a_choice_is_right_wrong_or_none(text: str, target: JSON, grade: str, error: str | None) -> None:
    score = choice(text, target)
    assert (score.grade, score.error_class) == (grade, error)
