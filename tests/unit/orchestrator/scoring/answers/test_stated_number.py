"""Which number an answer gives as its result: what a reader would say."""

from __future__ import annotations

import pytest

from orchestrator.scoring.text import numeric


@pytest.mark.parametrize(
    ("text", "number"),
    [
        # how numbers are written
        ("1,234", "1234"),
        ("The total is $29.00.", "29"),
        ("-3", "-3"),
        ("\u22123", "-3"),
        ("\u20133", "-3"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("negative 5", "-5"),
        ("5/2", "2.5"),
        ("2 1/2", "2.5"),
        ("\u00bd", "0.5"),
        ("2\u00bd cups", "2.5"),
        (".5", "0.5"),
        ("50%", "50"),
        ("\uff11\uff18", "18"),
        ("1'000'000 francs", "1000000"),
        ("12\u202f500 francs", "12500"),
        ("The answer is 1 234 567.", "1234567"),
        ("The answer is 1\u2019234\u2019567.", "1234567"),
        ("The answer is 1.234.567.", "1234567"),
        ("The answer is 1.234,56", "1234.56"),
        ("The answer is 3,5", "3.5"),
        ("1,00,000 rupees", "100000"),
        ("take 1,2,3", "3"),
        # magnitudes and powers
        ("The answer is 1.5 million.", "1500000"),
        ("$1.5M", "1500000"),
        ("The result is 5k", "5000"),
        ("共1.5万元", "15000"),
        ("The answer is 1.5 \u00d7 10^3.", "1500"),
        (r"The answer is $1.5\times 10^{3}$.", "1500"),
        ("It was 2.5e-3", "0.0025"),
        ("10\u00b3", "1000"),
        ("2^{10}", "1024"),
        # LaTeX
        (r"\boxed{7}", "7"),
        (r"The final answer is $\boxed{1{,}234}$.", "1234"),
        (r"\boxed{1\,234}", "1234"),
        (r"\boxed{x = 5}", "5"),
        (r"\boxed{12\text{ cm}^2}", "12"),
        (r"\boxed{\$18}", "18"),
        (r"\boxed{50\%}", "50"),
        (r"The answer is \tfrac{3}{4}.", "0.75"),
        (r"\dfrac34", "0.75"),
        (r"-\frac{1}{2}", "-0.5"),
        (r"2\frac{1}{2}", "2.5"),
        (r"The answer is \text{18}", "18"),
        # units and references are no results
        ("It covers 30 m^2.", "30"),
        ("It emits 12 kg of CO2", "12"),
        ("This is 30 (see step 3).", "30"),
        ("The answer to question 2 is 18.", "18"),
        ("The answer, after step 3, is 27.", "27"),
        ("the 3rd of 7 tries", "7"),
        # the stated result
        ("#### 18\n\nLet me check: 9*2=18. Step 2.", "18"),
        ("The answer is 18. This takes 3 steps.", "18"),
        ("The answer is: 7 apples and nothing else of 3 kinds", "7"),
        ("First answer: 3. No, the answer is 4.", "4"),
        ("the answer is unknown, though I counted 9", "9"),
        ("The answer is 5 * 6 = 30.", "30"),
        ("The answer is 20% of 50, which is 10.", "10"),
        ("The answer is the sum of 5 and 6, which is 11.", "11"),
        ("The answer is x = 5 when y = 2", "5"),
        ("The answer is not 5 but 6.", "6"),
        ("The answer is 18. Wait, that's wrong: 3 \u00d7 5 = 15.", "15"),
        ("**Final Answer: 42**", "42"),
        ("Final answer (in dollars): **$1,200.00**.", "1200"),
        ("### Answer\n\n42", "42"),
        ("答案是18个苹果，共3天", "18"),
        # prose
        ("To answer this question, multiply 5 by 6. Janet makes 30 dollars.", "30"),
        ("To find the answer, we compute 5 * 6 = 30. So she has 30 dollars left.", "30"),
        ("I checked my answer twice: 4 boxes of 5 make 20.", "20"),
        ("So she pays 5 * 6 = 30 dollars for 5 tickets", "30"),
        ("5*6 = 30, so she has 10 left", "10"),
        ("If x = 5, then she has 10 apples.", "10"),
        ("The total is 30 (= 5 \u00d7 6)", "30"),
        ("Total: 30 dollars (5 \u00d7 6)", "30"),
        ("10 minus 3 is 7", "7"),
        ("a range of 5-7", "7"),
        ("f(2)-3", "3"),
        ("2026-11-21", "21"),
    ],
)
def test_the_stated_result_counts(text: str, number: str) -> None:
    assert numeric(text, number).grade == "full"
    assert numeric(text, str(float(number) * 1.1 + 0.1)).error_class == "wrong_answer"


@pytest.mark.parametrize("text", ["", "eighteen", "1/0", "I answer with words", "x^2 + km2"])
def test_a_text_without_a_number_has_no_result(text: str) -> None:
    assert numeric(text, "5").error_class == "format"


@pytest.mark.parametrize("pad", range(0, 700, 41))
@pytest.mark.parametrize("number", ["-$1,234.5", "45 %", r"\frac{1}{3}", "12\u202f500"])
def test_the_start_of_a_passage_cuts_no_number(number: str, pad: int) -> None:
    assert numeric(f"7 of nine: {number} " + "and so on " * (pad // 10) + "x" * (pad % 10), number).grade == "full"
