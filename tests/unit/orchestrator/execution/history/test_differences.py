"""What a refused resume says of the difference between two configurations."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from orchestrator.execution.history.resumption import differences

PARTS = {"seed": "0", "scorers": "a:b"}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({}, {}, []),
        ({}, {"seed": "1"}, ["seed was 0, is 1"]),
        ({"file a.py": "1"}, {"file a.py": "2"}, ["a.py has changed"]),
        ({"file a.py": "1", "file r.json": "1"}, {"file a.py": "1"}, ["r.json is no longer used"]),
        ({"file a.py": "1"}, {"file a.py": "1", "file b.py": "1"}, ["b.py is new"]),
        ({"source of your scorer": "1"}, {"source of your scorer": "2"}, ["source of your scorer has changed"]),
        ({"tools": "x"}, {}, ["tools was x, is not set"]),
        ({}, {"file a.py": "1"}, []),  # a run of a version that did not note the person's own code
    ],
)
def test_a_difference_is_named(before: Mapping[str, str], now: Mapping[str, str], said: list[str]) -> None:
    assert differences({**PARTS, **before}, {**PARTS, **now}) == said
