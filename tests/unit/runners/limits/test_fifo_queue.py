"""The line: the order of arrival, twice."""

from __future__ import annotations

import pytest

from runners.limits.fifo_queue import FifoQueue


def test_who_goes_ahead_stands_before_all_who_do_not_and_each_in_the_order_of_arrival() -> None:
    line: FifoQueue[str] = FifoQueue()
    for who in "abAcB":
        line.join(who, ahead=who.isupper())
    assert ("".join(line), len(line), line.head) == ("ABabc", 5, "A")
    line.leave("A")
    line.leave("b")
    assert "".join(line) == "Bac"


def test_nobody_leaves_a_line_twice() -> None:
    line: FifoQueue[str] = FifoQueue()
    line.join("a", ahead=False)
    line.leave("a")
    with pytest.raises(KeyError):
        line.leave("a")
    assert line.head is None
    assert not line
