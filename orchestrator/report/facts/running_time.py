"""One time axis for a run and its resumes, without the pauses in which nothing ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from runners.samples.record import FINAL

Seconds = npt.NDArray[np.float64]

QUIET_S = 300.0
"""A gap without a sample or a decision is a pause where it is longer than this and than twice the longest sample."""
MOST_BINS = 120
STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Pause:
    """A gap in which the run was not running."""

    at_s: float
    """Running seconds."""
    length_s: float


@dataclass(frozen=True, slots=True)
class RunningTime:
    """A map from wall time to running seconds."""

    begin: float
    """Seconds since the epoch."""
    pauses: tuple[Pause, ...]

    def at(self, wall: Seconds) -> Seconds:
        """Convert wall times to running seconds."""
        passed = wall - self.begin
        for pause in self.pauses:
            after = passed > pause.at_s
            passed = passed - after * (passed - pause.at_s).clip(0, pause.length_s)
        return passed

    def at_each(self, wall: Sequence[float]) -> list[float]:
        """Convert a list of wall times to running seconds."""
        running_s: list[float] = self.at(np.asarray(wall, dtype=float)).tolist()
        return running_s


@dataclass(frozen=True, slots=True)
class Throughput:
    """Counts per second in steps of equal length from the start of the run."""

    step_s: float
    answered: tuple[float, ...]
    infra_failures: tuple[float, ...]
    output_tokens: tuple[float, ...]


def wall_seconds(instants: pa.ChunkedArray) -> Seconds:
    """Convert timestamps to seconds since the epoch, without nulls."""
    micros: Seconds = pc.cast(instants.drop_null(), pa.int64()).to_numpy()
    return micros / 1e6


def find_running_time(records: pa.Table, decided_at: Sequence[float]) -> RunningTime:
    """Find the start and the pauses of a run from its records and the times of its decisions."""
    points = [wall_seconds(records[name]) for name in ("started_at", "completed_at")]
    seen = np.unique(np.floor(np.concatenate([*points, np.asarray(decided_at, dtype=float)])))
    if not seen.size:
        return RunningTime(0.0, ())
    longest_s = pc.max(records["total_s"]).as_py() or 0.0
    gaps = np.diff(seen)
    gap_indices = np.flatnonzero(gaps > max(QUIET_S, 2 * longest_s))
    cut, pauses = 0.0, []
    for index in gap_indices:
        pauses.append(Pause(float(seen[index] + 1 - seen[0] - cut), float(gaps[index] - 1)))
        cut += float(gaps[index] - 1)
    return RunningTime(float(seen[0]), tuple(pauses))


def measure_throughput(records: pa.Table, time: RunningTime) -> Throughput:
    """Count answers, infrastructure failures and output tokens per second of running."""
    was_sent = records.filter(pc.is_valid(records["started_at"]))
    at_s = time.at(wall_seconds(was_sent["completed_at"]))
    if not at_s.size:
        return Throughput(1.0, (), (), ())
    step_s = nice_step(float(at_s.max()) / MOST_BINS)
    edges = np.arange(0.0, float(at_s.max()) + step_s, step_s)
    edges = edges if len(edges) > 1 else np.asarray([0.0, step_s])
    final = pc.is_in(was_sent["outcome"], value_set=pa.array(sorted(FINAL)))
    failed = pc.equal(was_sent["outcome"], "infra_failure")
    weights = (values.to_numpy().astype(float) for values in (final, failed, was_sent["output_tokens"]))
    series = (np.histogram(at_s, edges, weights=weight)[0] / step_s for weight in weights)
    return Throughput(step_s, *(tuple(values.round(4).tolist()) for values in series))


def nice_step(at_least: float) -> float:
    """Return the smallest of 1, 2 or 5 times a power of ten that is large enough, from 0.1 s on."""
    power = 0.1
    while True:
        for step in STEPS:
            if step * power >= at_least:
                return step * power
        power *= 10
