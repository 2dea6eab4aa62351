"""The grid of a sweep: maps ordinals to cells, epochs and positions of tasks, and computes sample ids.

It needs no tasks, so rows of results can be checked against it with the files of a run only.
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
    """List the cells in the order of ordinals: by stage, then model, then prompt type."""
    return [Cell(model, prompt_type, rate) for rate, model, prompt_type in product(rates, models, prompt_types)]


class Grid:
    """The numbering of all samples: ordinals increase by place within an epoch, by epoch within a cell, and by cell.

    A place is the position of a selected task; `places` is the number of selected tasks.
    """

    def __init__(self, cells: Sequence[Cell], epochs: int, places: int, seed: int) -> None:
        self.cells = cells
        self.epochs = epochs
        self.places = places
        self.per_cell = epochs * places
        self._length = len(cells) * self.per_cell
        self._hashes = [_cell_hash(cell) for cell in cells]
        self._seed_hash = hashlib.blake2b(f"{seed}\n".encode(), digest_size=8, person=b"seed")

    def __len__(self) -> int:
        return self._length

    def locate(self, ordinal: int) -> tuple[int, int, int]:
        """Return cell number, epoch (from 0) and place of an ordinal. Raises IndexError."""
        if not 0 <= ordinal < self._length:
            raise IndexError(ordinal)
        rest = ordinal % self.per_cell
        return ordinal // self.per_cell, rest // self.places, rest % self.places

    def digest(self, cell: int, task_id: str, epoch: int) -> bytes:
        """Compute the digest of a sample; its hex form is the sample id."""
        return _digest(self._hashes[cell], f"{task_id}\0{epoch}".encode())

    def seed(self, task_id: str, epoch: int) -> int:
        """Compute the seed of a task in an epoch; it is the same in every cell."""
        return int.from_bytes(_digest(self._seed_hash, f"{task_id}\0{epoch}".encode()), "big") >> 1


def _cell_hash(cell: Cell) -> hashlib.blake2b:
    prefix = orjson.dumps([cell.model, cell.prompt_type, cell.tool_success_rate])
    return hashlib.blake2b(prefix + b"\n", digest_size=DIGEST_BYTES, person=b"sample")


def _digest(state: hashlib.blake2b, key: bytes) -> bytes:
    copied = state.copy()
    copied.update(key)
    return copied.digest()
