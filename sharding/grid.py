"""The grid of a sweep: maps ordinals to cells, epochs and positions of tasks, and computes sample ids.

It needs no tasks, so rows of results can be checked against it with the files of a run only.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, product

import orjson

from .plan import Cell
from .segments import BoundTasks, places_of

DIGEST_BYTES = 16
"""Of a sample's name: with a million samples two are alike once in 10^26 sweeps."""


def lay_out_cells(rates: Iterable[float], models: Iterable[str], prompt_types: Iterable[str]) -> list[Cell]:
    """List the cells in the order of ordinals: by stage, then model, then prompt type."""
    return [Cell(model, prompt_type, rate) for rate, model, prompt_type in product(rates, models, prompt_types)]


class Grid:
    """The numbering of all samples: ordinals increase by place within an epoch, by epoch within a cell, and by cell.

    A place is the position of a selected task; `places` is the number of selected tasks.
    """

    def __init__(
        self, cells: Sequence[Cell], epochs: int, places: int, seed: int, segments: Sequence[BoundTasks] | None = None
    ) -> None:
        """Number the samples. With `segments`, a cell has only the places that its model gets."""
        self.cells = cells
        self.epochs = epochs
        self.places = places
        self.segments = segments
        self.per_cell = epochs * places
        self._bound = None if segments is None else BoundCells([cell.model for cell in cells], epochs, segments)
        self._length = len(cells) * self.per_cell if self._bound is None else self._bound.starts[-1]
        self._hashes = [_cell_hash(cell) for cell in cells]
        self._seed_hash = hashlib.blake2b(f"{seed}\n".encode(), digest_size=8, person=b"seed")

    def __len__(self) -> int:
        return self._length

    def locate(self, ordinal: int) -> tuple[int, int, int]:
        """Return cell number, epoch (from 0) and place of an ordinal. Raises IndexError."""
        if not 0 <= ordinal < self._length:
            raise IndexError(ordinal)
        if self._bound is not None:
            return self._bound.locate(ordinal)
        rest = ordinal % self.per_cell
        return ordinal // self.per_cell, rest // self.places, rest % self.places

    def locate_all(self, ordinals: Sequence[int]) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """Return the cell numbers, the epochs and the places of ordinals of this grid, as `locate` does one by one."""
        if self._bound is not None:
            cells, epochs, places = zip(*map(self._bound.locate, ordinals), strict=True)
            return cells, epochs, places
        per_cell, per_epoch, rounds = self.per_cell, self.places, self.epochs
        return (
            [ordinal // per_cell for ordinal in ordinals],
            [ordinal // per_epoch % rounds for ordinal in ordinals],
            [ordinal % per_epoch for ordinal in ordinals],
        )

    def start_of(self, cell: int) -> int:
        """Return the first ordinal of a cell, or of the end after the last one."""
        return cell * self.per_cell if self._bound is None else self._bound.starts[cell]

    def ordinal(self, cell: int, epoch: int, place: int) -> int | None:
        """Return the ordinal of a sample; None where the cell's model does not get the task."""
        if self._bound is not None:
            return self._bound.ordinal(cell, epoch, place)
        return cell * self.per_cell + epoch * self.places + place

    def digest(self, cell: int, task_id: str, epoch: int) -> bytes:
        """Compute the digest of a sample; its hex form is the sample id."""
        return _digest(self._hashes[cell], f"{task_id}\0{epoch}".encode())

    def seed(self, task_id: str, epoch: int) -> int:
        """Compute the seed of a task in an epoch; it is the same in every cell."""
        return int.from_bytes(_digest(self._seed_hash, f"{task_id}\0{epoch}".encode()), "big") >> 1

    def identify(
        self, cells: Sequence[int], task_ids: Sequence[str], epochs: Sequence[int]
    ) -> tuple[list[str], list[int]]:
        """Compute the ids and the seeds of samples as `digest` and `seed` do one by one."""
        ids, seeds, hashes, seed_hash = list[str](), list[bytes](), self._hashes, self._seed_hash
        for cell, task_id, epoch in zip(cells, task_ids, epochs, strict=True):
            key = f"{task_id}\0{epoch}".encode()
            state = hashes[cell].copy()
            state.update(key)
            ids.append(state.hexdigest())
            state = seed_hash.copy()
            state.update(key)
            seeds.append(state.digest())
        return ids, [seed >> 1 for seed in struct.unpack(f">{len(seeds)}Q", b"".join(seeds))]


class BoundCells:
    """The numbering where task files are bound to models: cells of different models have different numbers of places."""

    def __init__(self, models: Sequence[str], epochs: int, segments: Sequence[BoundTasks]) -> None:
        places = {model: list(places_of(model, segments)) for model in set(models)}
        self._ranges = [places[model] for model in models]
        self._offsets = [list(accumulate(map(len, ranges), initial=0)) for ranges in self._ranges]
        self.starts = list(accumulate((epochs * offsets[-1] for offsets in self._offsets), initial=0))
        """The first ordinal of every cell, and the number of all."""

    def locate(self, ordinal: int) -> tuple[int, int, int]:
        """Return cell number, epoch and place of an ordinal."""
        cell = bisect_right(self.starts, ordinal) - 1
        offsets = self._offsets[cell]
        epoch, local = divmod(ordinal - self.starts[cell], offsets[-1])
        number = bisect_right(offsets, local) - 1
        return cell, epoch, self._ranges[cell][number][local - offsets[number]]

    def ordinal(self, cell: int, epoch: int, place: int) -> int | None:
        """Return the ordinal of a sample; None where the cell does not have the place."""
        offsets = self._offsets[cell]
        for offset, places in zip(offsets, self._ranges[cell], strict=False):
            if place in places:
                return self.starts[cell] + epoch * offsets[-1] + offset + place - places.start
        return None


def _cell_hash(cell: Cell) -> hashlib.blake2b:
    prefix = orjson.dumps([cell.model, cell.prompt_type, cell.tool_success_rate])
    return hashlib.blake2b(prefix + b"\n", digest_size=DIGEST_BYTES, person=b"sample")


def _digest(state: hashlib.blake2b, key: bytes) -> bytes:
    copied = state.copy()
    copied.update(key)
    return copied.digest()
