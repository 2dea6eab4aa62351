"""One time axis for a run and its resumes: the hours in which nothing ran are cut out, and said."""

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
"""Without a sample or a decision for longer than this, and than twice the longest sample, the run was not running."""
MOST_BINS = 120
STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Pause:
    at_s: float
    """Running seconds."""
    length_s: float


@dataclass(frozen=True, slots=True)
class RunningTime:
    """Wall time to seconds of running."""

    begin: float
    """Seconds since the epoch."""
    pauses: tuple[Pause, ...]

    def at(self, wall: Seconds) -> Seconds:
        passed = wall - self.begin
        for pause in self.pauses:
            after = passed > pause.at_s
            passed = passed - after * (passed - pause.at_s).clip(0, pause.length_s)
        return passed

    def at_each(self, wall: Sequence[float]) -> list[float]:
        found: list[float] = self.at(np.asarray(wall, dtype=float)).tolist()
        return found


@dataclass(frozen=True, slots=True)
class Throughput:
    """Counts per second in steps of equal length from the start of the run."""

    step_s: float
    answered: tuple[float, ...]
    infra_failures: tuple[float, ...]
    output_tokens: tuple[float, ...]


def wall_seconds(instants: pa.ChunkedArray) -> Seconds:
    """Seconds since the epoch; nulls are left out."""
    micros: Seconds = pc.cast(instants.drop_null(), pa.int64()).to_numpy()
    return micros / 1e6


def find_running_time(records: pa.Table, decided_at: Sequence[float]) -> RunningTime:
    points = [wall_seconds(records[name]) for name in ("started_at", "completed_at")]
    seen = np.unique(np.floor(np.concatenate([*points, np.asarray(decided_at, dtype=float)])))
    if not seen.size:
        return RunningTime(0.0, ())
    longest_s = pc.max(records["total_s"]).as_py() or 0.0
    gaps = np.diff(seen)
    places = np.flatnonzero(gaps > max(QUIET_S, 2 * longest_s))
    cut, pauses = 0.0, []
    for place in places:
        pauses.append(Pause(float(seen[place] + 1 - seen[0] - cut), float(gaps[place] - 1)))
        cut += float(gaps[place] - 1)
    return RunningTime(float(seen[0]), tuple(pauses))


def measure_throughput(records: pa.Table, time: RunningTime) -> Throughput:
    was_sent = records.filter(pc.is_valid(records["started_at"]))
    at_s = time.at(wall_seconds(was_sent["completed_at"]))
    if not at_s.size:
        return Throughput(1.0, (), (), ())
    step_s = nice_step(float(at_s.max()) / MOST_BINS)
    edges = np.arange(0.0, float(at_s.max()) + step_s, step_s)
    edges = edges if len(edges) > 1 else np.asarray([0.0, step_s])
    final = pc.is_in(was_sent["outcome"], value_set=pa.array(sorted(FINAL)))
    failed = pc.equal(was_sent["outcome"], "infra_failure")
    weights = (one.to_numpy().astype(float) for one in (final, failed, was_sent["output_tokens"]))
    series = (np.histogram(at_s, edges, weights=one)[0] / step_s for one in weights)
    return Throughput(step_s, *(tuple(one.round(4).tolist()) for one in series))


def nice_step(at_least: float) -> float:
    """1, 2 or 5 times a power of ten, from a tenth of a second on."""
    power = 0.1
    while True:
        for step in STEPS:
            if step * power >= at_least:
                return step * power
        power *= 10
