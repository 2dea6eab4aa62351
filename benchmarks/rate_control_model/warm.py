"""What a remembered limit is worth: the same batch with a cold start and with several memories of an earlier run.

A warm start is slower than a cold one where it ends later by more than one probe: the longer of 15 s and the remembered window.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from providers.messages import JSON
from runners.limits.adaptive.state import AdaptiveLimits

from .loop import Controller, Loop
from .measure import Measured, run_once
from .quotas import share_quotas
from .scenario import Scenario

Memory = Mapping[str, JSON]
LONG_AGO_S = 3600.0
STRONG: Memory = {"refusals": 10, "bound_s": 3600.0, "age_s": 0.0}
WEAK: Memory = {"refusals": 1, "bound_s": 0.0, "age_s": 0.0}
ENDS_AT_S, SEEN_S = 100.0, 40.0
"""When the first of two runs ends, and for how long the second one runs, which begins at once."""
PROBE_S = 15.0
MEMORIES = ("as learnt", "without evidence", "10x low weak", "10x low strong", "doubled", "halved", "moments ago")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A warm start beside a cold one."""

    family: str
    memory: str
    later_s: float
    """How much later the warm run ended."""
    probe_s: float
    more_refused: int
    windows: float
    """Windows of the run."""

    @property
    def is_slower(self) -> bool:
        """Whether it ended later by more than one probe."""
        return self.later_s > self.probe_s

    @property
    def is_refused_more(self) -> bool:
        """Whether it was refused more often than the cold run and once per window."""
        return self.more_refused > self.windows


class Run:
    """One run of our controllers in a scenario, started with a memory, and what they export at the end."""

    def __init__(self, server: str, scenario: Scenario, n: int, seed: int) -> None:
        self._server, self._scenario, self._n, self._seed = server, scenario, n, seed
        self.exported: list[Memory] = []
        self.refused = 0

    def measure(self, memories: Sequence[Memory] = ()) -> Measured:
        """Run it with a memory for each instance."""
        limits: list[AdaptiveLimits] = []
        loops: list[Loop] = []

        def build(index: int, scenario: Scenario, draw: random.Random) -> Controller:  # noqa: ARG001
            limits.append(AdaptiveLimits(most=scenario.most, restored=memories[index] if memories else None))
            return limits[-1]

        def watch(loop: Loop) -> None:
            loops.append(loop)
            if self._scenario.is_one_model:
                share_quotas(loop, limits)

        measured = run_once(self._server, self._scenario, build, self._n, self._seed, watch)
        self.exported = [known.export() for known in limits]
        self.refused = loops[0].refused
        return measured

    def moments_later(self, instances: int) -> list[Memory]:
        """Return what a run learns that begins at the end of another one and is short."""
        later: list[AdaptiveLimits] = []

        def build(index: int, scenario: Scenario, draw: random.Random) -> Controller:  # noqa: ARG001
            return AdaptiveLimits(most=scenario.most)

        def watch(loop: Loop) -> None:
            def swap() -> None:
                for instance in loop.instances:
                    later.append(AdaptiveLimits(most=self._scenario.most, restored={"idle_s": 0.0}))
                    instance.controller = later[-1]
                loop.wake()

            loop.timeline.at(ENDS_AT_S, swap)
            loop.timeline.at(ENDS_AT_S + SEEN_S, lambda: self.exported.extend(known.export() for known in later))

        self.exported = []
        run_once(self._server, self._scenario, build, self._n, self._seed, watch)
        return self.exported or [{} for _ in range(instances)]


def compare(server: str, scenario: Scenario, n: int, seed: int) -> list[Comparison]:
    """Run a batch once cold and once with each memory."""
    run = Run(server, scenario, n, seed)
    cold = run.measure()
    learned, refused = run.exported, run.refused
    family = server.rpartition(" #")[0] or server
    compared = []
    for memory in MEMORIES:
        begun = (
            run.moments_later(len(learned))
            if memory == "moments ago"
            else [altered(known, memory) for known in learned]
        )
        warm = run.measure([{**known, "idle_s": LONG_AGO_S} for known in begun])
        window_s = _window_s(begun[0])
        windows = warm.makespan_s / window_s
        later_s = warm.makespan_s - cold.makespan_s
        compared.append(
            Comparison(family, memory, later_s, max(PROBE_S, window_s), run.refused - refused, max(1.0, windows))
        )
    return compared


def altered(learned: Memory, memory: str) -> Memory:
    """Return a memory in which the limit is as it was before, or was at a bad moment."""
    factor = {"10x low weak": 0.1, "10x low strong": 0.1, "doubled": 0.5, "halved": 2.0}.get(memory, 1.0)
    changed = {**learned}
    if memory == "without evidence":
        changed.pop("evidence", None)
    elif memory != "as learnt":
        changed["evidence"] = WEAK if memory == "10x low weak" else STRONG
    limits, cap = learned.get("limits"), learned.get("cap")
    if isinstance(limits, Mapping):
        changed["limits"] = {
            unit: factor * value if isinstance(value, int | float) else value for unit, value in limits.items()
        }
    elif isinstance(cap, int | float):
        changed["cap"] = max(1.0, factor * cap)
    return changed


def _window_s(memory: Memory) -> float:
    window_s = memory.get("window_s")
    return float(window_s) if isinstance(window_s, int | float) else PROBE_S


def show(comparisons: Sequence[Comparison]) -> None:
    """Print how often and by how much warm starts were slower, or were refused more."""
    print(
        f"{'family':<20} {'memory':<17} {'runs':>4} {'later':>8} {'worst':>8} {'slower':>6} {'refused':>8} {'worst':>6} {'more':>5}"
    )
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for one in comparisons:
        groups.setdefault((one.family, one.memory), []).append(one)
    for (family, memory), group in groups.items():
        later, refused = [one.later_s for one in group], [one.more_refused for one in group]
        print(
            f"{family:<20} {memory:<17} {len(group):>4} {statistics.median(later):+7.0f}s {max(later):+7.0f}s"
            f" {sum(one.is_slower for one in group):>6} {statistics.median(refused):+8.0f} {max(refused):+6d}"
            f" {sum(one.is_refused_more for one in group):>5}"
        )
