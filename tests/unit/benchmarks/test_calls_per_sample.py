"""The calls that the pipeline makes for one sample are held: a change that adds work to every sample is seen here.

The counts are those of `benchmarks/calls_per_sample.py`, whose docstring says what is counted. They are the same in every run of one
version of Python. To change one deliberately, run `python -m benchmarks.calls_per_sample` and write its figures into `HELD`.
"""

from __future__ import annotations

import sys

import pytest

from benchmarks.calls_per_sample import calls_per_sample, counting
from benchmarks.client_cost.clients import FLOOR, OURS

HELD: dict[tuple[str, str, str], tuple[float, float]] = {
    # client, rate mode, workload: calls of Python functions, calls of C functions
    (OURS, "fixed", "includes"): (264.7, 191.1),
    (OURS, "adaptive", "includes"): (361.1, 234.8),
    (OURS, "fixed", "stream63"): (1346.6, 2147.3),
    (OURS, "adaptive", "stream63"): (1423.8, 2179.8),
    (FLOOR, "fixed", "includes"): (165.0, 101.0),
    (FLOOR, "fixed", "stream63"): (2346.2, 2300.2),
}
SAMPLE = list(HELD)[:2]
"""The cases that run without the marker `matrix`."""
TOLERANCE = 0.01
SLACK = 0.1
"""A count may fall by this share before the table must be brought up to date, or the test would hold nothing."""
VERSION = (3, 11)
"""The version of Python that the table is of; others inline more, or resume coroutines otherwise."""


@pytest.mark.skipif(sys.version_info[:2] != VERSION, reason="the counts are those of another version of Python")
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id="-".join(case), marks=() if case in SAMPLE else pytest.mark.matrix) for case in HELD],
)
def test_a_sample_takes_no_more_calls_than_held(case: tuple[str, str, str]) -> None:
    counted = calls_per_sample(*case)
    for kind, held, calls in zip(("Python", "C"), HELD[case], (counted.python, counted.c), strict=True):
        assert calls <= held * (1 + TOLERANCE), f"{calls:.1f} calls of {kind} functions, held are {held}"
        assert calls >= held * (1 - SLACK), f"only {calls:.1f} calls of {kind} functions: write them into HELD"


def test_calls_are_counted_by_the_file_of_the_function_and_of_the_caller_of_a_c_function() -> None:
    def twice(text: str) -> str:
        return text.upper().lower()

    with counting() as calls:
        for text in ("a", "b", "c"):
            twice(text)
    assert calls.python[__file__] == 3
    assert calls.c[__file__] == 6
    assert calls.off_loop == 0
