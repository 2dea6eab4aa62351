"""Which option an answer chooses: what a reader would say."""

from __future__ import annotations

import pytest

from orchestrator.scoring.answers.option_labels import OptionLabels, numbered
from orchestrator.scoring.answers.stated_choice import stated_choice

LETTERED = OptionLabels()
CITIES = OptionLabels(4, {}, ("Paris", "London", "Vitamin C", "None of the above"))
NUMBERED = OptionLabels(4, numbered(1, 4))
MANY = OptionLabels(14)


def letter_of(text: str, options: OptionLabels) -> str | None:
    stated = stated_choice(text, options)
    return None if stated is None else stated.letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        # alone, or leading
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("**B**", "B"),
        ("B.", "B"),
        ("B. Paris", "B"),
        ("B) Paris", "B"),
        ("a)", "A"),
        ("I", "I"),
        ("C. Because A and B are wrong and D does not exist.", "C"),
        ("**C**\n\nOption A fails. Choice B is false.", "C"),
        ("B\n\nExplanation: A is too small, C is too large.", "B"),
        ("Thinking it over step by step ...\n\nC", "C"),
        ("### Final\n\n**(C) 12 km**", "C"),
        # the stated answer
        ("The answer is B.", "B"),
        ("The answer is (B) because A is too small.", "B"),
        ("The correct answer is **B**.", "B"),
        ("Answer: B", "B"),
        ("ANSWER: b", "B"),
        ("Final answer is option C", "C"),
        ("<answer>C</answer>", "C"),
        ("The answer is C because I computed the integral.", "C"),
        ("The answer is A.", "A"),
        ("The answer is I.", "I"),
        ('The answer is "C".', "C"),
        ("My answer would be option C.", "C"),
        ("The answer, I believe, is C.", "C"),
        ("The correct answer from the list above is: C", "C"),
        ("What is the answer? D", "D"),
        ("Vitamin A is fat soluble, so the answer is B", "B"),
        ("Answer:\n\n(D) It rains.", "D"),
        ("The correct choice is C - Paris.", "C"),
        # boxes and LaTeX
        (r"so \boxed{C}", "C"),
        (r"\boxed{\text{C}}", "C"),
        (r"\boxed{B. \text{Paris}}", "B"),
        (r"The answer is $\mathrm{D}$.", "D"),
        ("We find \\boxed{\\langle H\\rangle > 0}\n\n**Answer: D**", "D"),
        # reasons behind the answer are no answer
        ("The correct answer is C. Option A is incorrect because it is too big. Option D is wrong as well.", "C"),
        ("Answer: C\n\nExplanation: Option A fails since x. Option B fails since y.", "C"),
        ("I think the answer is C because option B does not fit.", "C"),
        ("The answer is B. Note that A is a common distractor.", "B"),
        ("The answer is D: it is larger than A and B.", "D"),
        # denials and corrections
        ("The answer is not A but B.", "B"),
        ("The answer is not A. It is B.", "B"),
        ("The answer isn't A; it's C.", "C"),
        ("The answer is A, not B.", "A"),
        ("The correct answer is neither A nor B, it's C.", "C"),
        ("The answer cannot be A, so it is B.", "B"),
        ("Not A. Definitely B.", "B"),
        ("It can't be A or B, which leaves C.", "C"),
        ("Answer: A\nAfter checking I must correct this.\nAnswer: B", "B"),
        ("The answer is A. Wait, actually, it's C.", "C"),
        ("You might think the answer is A, but the answer is C.", "C"),
        ("Suppose the answer is A. Then x = 3, a contradiction. Therefore, B.", "B"),
        ("If the answer is A, then 1 = 2. So the answer is D.", "D"),
        # verdicts and selections
        ("I would choose option B here.", "B"),
        ("Options B and C look similar, but I'd go with C.", "C"),
        ("A is incorrect. B is incorrect. C is correct. D is incorrect.", "C"),
        ("Options A, B and D are incorrect, so C.", "C"),
        ("Option C is the correct one.", "C"),
        ("Therefore, option D is right.", "D"),
        ("It must be (D), since (D) alone is prime.", "D"),
        ("After all, D fits.", "D"),
        ("The options are A. one\nB. two\nC. three\nD. four\n\nAnswer: C", "C"),
        # Chinese and others
        ("答案是B", "B"),
        ("答案：C。", "C"),
        ("正确选项为（D）", "D"),
        ("应选 A", "A"),
        ("故选C。", "C"),
        ("正确答案是选项C。选项A错误，选项D也不对。", "C"),
        ("答案不是A，而是B", "B"),
        ("不选A，选D。", "D"),
        ("C是正确的。", "C"),
        ("我选B，因为A不对。", "B"),
        ("La respuesta correcta es C", "C"),
        ("Réponse : B", "B"),
        # none, or more than one
        ("The answer is a number that I do not know", None),
        ("The answer is A or B", None),
        ("The answer is A and C", None),
        ("The answer is B or B", "B"),
        ("(A) and (B) are both right", None),
        ("Both A and B are correct.", None),
        (r"\boxed{A, C}", None),
        ("A good question. I have no idea.", None),
        ("Answer: A triangle has three sides.", None),
        ("I am not sure.", None),
        ("The answer is 42.", None),
        ("Because", None),
        ("", None),
    ],
)
def test_the_stated_option_counts_not_the_last_letter(text: str, letter: str | None) -> None:
    assert letter_of(text, LETTERED) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Paris", "A"),
        ("london.", "B"),
        ("The answer is London.", "B"),
        ("It is Vitamin C", "C"),
        ("The answer is Vitamin C.", "C"),
        ("None of the above", "D"),
        (r"\boxed{\text{London}}", "B"),
        ("Answer: B) London", "B"),
        ("The capital is not Paris.", None),
        ("Paris and London", None),
    ],
)
def test_the_text_of_an_option_is_a_choice_too(text: str, letter: str | None) -> None:
    assert letter_of(text, CITIES) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("3", "C"),
        ("The answer is 3.", "C"),
        ("(2)", "B"),
        ("答案是2", "B"),
        ("The answer is C", "C"),
        ("The answer is 5", None),
        ("The answer is 3.5", None),
    ],
)
def test_numbers_choose_where_the_options_are_numbered(text: str, letter: str | None) -> None:
    assert letter_of(text, NUMBERED) == letter


def test_there_may_be_more_than_ten_options() -> None:
    assert letter_of("The answer is (N).", MANY) == "N"
    assert letter_of("The answer is (N).", LETTERED) is None
