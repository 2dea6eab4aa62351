"""One run of our controller, event by event: its decisions with their evidence, and every refusal."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping

from providers.messages import JSON
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.permit import Settled

from ..loop import Controller, Loop
from ..measure import Measured, run_once
from ..quotas import share_quotas
from ..scenario import Scenario

Print = Callable[[str], None]


class Explained:
    """The run of a scenario that prints what our controller decides."""

    def __init__(self, scenario: Scenario, line: Print = print) -> None:
        self._scenario, self._line = scenario, line
        self._controllers: list[AdaptiveLimits] = []
        self._loop: Loop | None = None

    def run(self, server: str, seed: int) -> Measured:
        """Run it, print the events and the final limits, and return the figures."""
        self._line(f"{server}: {self._scenario.truth or self._scenario.rate}")
        measured = run_once(server, self._scenario, self._build, 0, seed, self._watch)
        for index, limits in enumerate(self._controllers):
            self._print(index, "end", limits.snapshot(measured.makespan_s))
        self._line(json.dumps(measured.row()))
        return measured

    def _build(self, index: int, scenario: Scenario, draw: random.Random) -> Controller:  # noqa: ARG002
        limits = AdaptiveLimits(
            most=scenario.most, on_decision=lambda event, evidence: self._print(index, event, evidence)
        )
        self._controllers.append(limits)
        return limits

    def _watch(self, loop: Loop) -> None:
        self._loop = loop
        mergers = share_quotas(loop, self._controllers).mergers if self._scenario.is_one_model else []
        learn = loop.on_refused

        def refused(controller: Controller, settled: Settled) -> None:
            index = next(i for i, limits in enumerate(self._controllers) if limits is controller)
            self._print(index, "refused", self._refusal(index, settled))
            before = len(mergers)
            learn(controller, settled)
            for merger in mergers[before:]:
                self._print(index, "quota_shared", {"limit": merger.quota.limit, "window_s": merger.quota.window_s})

        loop.on_refused = refused

    def _refusal(self, index: int, settled: Settled) -> dict[str, JSON]:
        assert self._loop is not None
        snapshot = self._controllers[index].snapshot(self._loop.timeline.now)
        hint = settled.hint
        return {
            "after_s": round(settled.latency_s, 3),
            "retry_after_s": None if hint is None else hint.retry_after_s,
            "words": None if hint is None else hint.stated_quota,
            "done": sum(instance.done for instance in self._loop.instances),
            "in_flight": snapshot["in_flight"],
            "cap": snapshot["cap"],
            "limits": snapshot["limits"],
        }

    def _print(self, index: int, event: str, evidence: Mapping[str, JSON]) -> None:
        now = 0.0 if self._loop is None else self._loop.timeline.now
        self._line(f"{now:10.3f}  {index}  {event:<12} {json.dumps(evidence, default=str)}")
