"""Rows in pieces that are bounded by number and by size, so that memory does not grow with the length of their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeVar

T = TypeVar("T")

LONG_COLUMNS = ("input", "output_text", "messages", "reasoning_text", "raw_response", "tool_trace")
"""The columns whose text has any length; the others are short."""
PIECE_ROWS = 2_000
PIECE_CHARACTERS = 8 << 20
"""Characters of long texts at which a piece ends before it is full. They are in memory several times while it is read or written."""


def in_pieces(
    items: Iterable[T], size_of: Callable[[T], int], most: int = PIECE_ROWS, largest: int = PIECE_CHARACTERS
) -> Iterator[list[T]]:
    """Yield the items in lists that end at `most` items, or where their sizes together reach `largest`. None is kept once it is yielded."""
    return iter(partial(_take, iter(items), size_of, most, largest), [])


def _take(items: Iterator[T], size_of: Callable[[T], int], most: int, largest: int) -> list[T]:
    piece, size = list[T](), 0
    while len(piece) < most and size < largest and (item := next(items, None)) is not None:
        piece.append(item)
        size += size_of(item)
    return piece


def text_size(row: Mapping[str, object]) -> int:
    """Return the characters of a row's long texts."""
    return sum(len(text) for name in LONG_COLUMNS if isinstance(text := row.get(name), str))
