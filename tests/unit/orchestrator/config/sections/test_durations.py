"""Durations as people write them."""

from __future__ import annotations

import pytest

from orchestrator.config.sections.durations import seconds_of, told


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400),
        ("2h30m", 9000),
        ("2 h 30 min", 9000),
        ("45s", 45),
        ("45", 45),
        ("1.5h", 5400),
        ("1d", 86400),
        (7, 7),
    ],
)
def test_a_duration_is_read_as_seconds(text: object, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "3x", "1..5h", "30m2h", "-5m", "1:30 h"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write seconds, or a duration such as 90m or 2h30m, not"):
        seconds_of(text)


@pytest.mark.parametrize(("seconds", "text"), [(3.0, "3 s"), (0.5, "0.5 s"), (90, "0:01:30"), (9000, "2:30:00")])
def test_a_duration_is_told_as_people_write_it(seconds: float, text: str) -> None:
    assert told(seconds) == text
