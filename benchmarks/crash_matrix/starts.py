"""What a trial starts from: nothing, or a copy of a run that is killed, finished or damaged."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from .points import Stage
from .stored_records import Row, final_rows


@dataclass(frozen=True, slots=True)
class Start:
    """The start of all trials of one stage."""

    seen: Mapping[str, int]
    """The operations of an undisturbed command."""
    took_s: float
    run: Path | None
    """The run directory that each trial copies; None for a new run."""

    def copy_to(self, folder: Path, stage: Stage, rng: random.Random) -> dict[str, Row]:
        """Copy the run, and damage one byte for a repair. Returns the rows that must be in the results at the end as they are now."""
        if self.run is None:
            return {}
        run = folder / self.run.name
        shutil.copytree(self.run, run)
        rows = {row["sample_id"]: row for row in final_rows(run)}
        damaged = _damage_one_byte(run, rng) if stage == "repair" else set()
        return {sample_id: row for sample_id, row in rows.items() if sample_id not in damaged}


def _damage_one_byte(run: Path, rng: random.Random) -> set[str]:
    """Change a byte of the results. Returns the samples that this may cost: those of one line, or of one row group."""
    path = rng.choice([*sorted(run.glob("results/part-*.parquet")), *run.glob("results/results.jsonl")])
    data, costs = bytearray(path.read_bytes()), set()
    position = rng.randrange(len(data))
    if path.suffix == ".parquet":
        costs = set(pq.ParquetFile(path).read(["sample_id"])["sample_id"].to_pylist())
    else:
        costs = {final_rows(run)[data[:position].count(b"\n")]["sample_id"]}
    data[position] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return costs
