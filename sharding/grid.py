"""The grid of a sweep: which cell, epoch and place every ordinal is, and what its sample is called there.

It needs no tasks, so a row of results can be checked against it from the files of a run alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import product

import orjson

from .plan import Cell

DIGEST_BYTES = 16
"""Of a sample's name: with a million samples two are alike once in 10^26 sweeps."""


def lay_out_cells(rates: Iterable[float], models: Iterable[str], prompt_types: Iterable[str]) -> list[Cell]:
    """In the order of ordinals: stage by model by prompt type."""
    return [Cell(model, prompt_type, rate) for rate, model, prompt_type in product(rates, models, prompt_types)]


class Grid:
    """Ordinals run cell by epoch by place, the place innermost; `places` is the number of tasks that take part."""

    def __init__(self, cells: Sequence[Cell], epochs: int, places: int, seed: int) -> None:
        self.cells = cells
        self.epochs = epochs
        self.places = places
        self.per_cell = epochs * places
        self._hashes = [_cell_hash(cell) for cell in cells]
        self._seed_hash = hashlib.blake2b(f"{seed}\n".encode(), digest_size=8, person=b"seed")

    def __len__(self) -> int:
        return len(self.cells) * self.per_cell

    def locate(self, ordinal: int) -> tuple[int, int, int]:
        """Cell number, epoch (from 0) and place. Raises IndexError."""
        if not 0 <= ordinal < len(self):
            raise IndexError(ordinal)
        cell, rest = divmod(ordinal, self.per_cell)
        epoch, place = divmod(rest, self.places)
        return cell, epoch, place

    def digest(self, cell: int, task_id: str, epoch: int) -> bytes:
        """Names a sample; its hex form is the sample id."""
        return _digest(self._hashes[cell], f"{task_id}\0{epoch}".encode())

    def seed(self, task_id: str, epoch: int) -> int:
        return int.from_bytes(_digest(self._seed_hash, f"{task_id}\0{epoch}".encode()), "big") >> 1


def _cell_hash(cell: Cell) -> hashlib.blake2b:
    prefix = orjson.dumps([cell.model, cell.prompt_type, cell.tool_success_rate])
    return hashlib.blake2b(prefix + b"\n", digest_size=DIGEST_BYTES, person=b"sample")


def _digest(state: hashlib.blake2b, key: bytes) -> bytes:
    copied = state.copy()
    copied.update(key)
    return copied.digest()
