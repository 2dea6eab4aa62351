"""Pieces of rows: where they end, and that none is kept."""

from __future__ import annotations

import weakref

import pytest

from runners.journal.pieces import in_pieces, text_size


@pytest.mark.parametrize(
    ("sizes", "pieces"),
    [
        ([], []),
        ([1, 1, 1, 1, 1, 1, 1], [[1, 1, 1], [1, 1, 1], [1]]),
        ([4, 6, 1], [[4, 6], [1]]),
        ([25, 1, 9], [[25], [1, 9]]),
        ([0, 0, 0], [[0, 0, 0]]),
    ],
)
def test_a_piece_ends_by_number_or_by_size(sizes: list[int], pieces: list[list[int]]) -> None:
    assert list(in_pieces(sizes, int, most=3, largest=10)) == pieces


def test_a_piece_that_is_done_with_is_not_kept_while_the_next_is_used() -> None:
    class Row:
        pass

    pieces = in_pieces((Row() for _ in range(4)), lambda _: 1, most=2, largest=10)
    first = weakref.ref(next(pieces)[0])
    assert first() is None


def test_the_size_of_a_row_is_that_of_its_long_texts() -> None:
    assert text_size({"input": "12345", "output_text": None, "messages": "12", "task_id": "no text", "ordinal": 7}) == 7
