"""The decisions of one seeded run on every modelled endpoint, line by line: a change of behaviour shows as a diff.

python tests/simulation/golden/test_golden_decisions.py       writes them anew
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from benchmarks.rate_control_model.loop import Loop
from benchmarks.rate_control_model.scenarios import SCENARIOS
from providers.messages import JSON
from runners.limits.adaptive.state import AdaptiveLimits

HERE = Path(__file__).resolve().parent
N = 500
SEED = 0


def decisions(server: str) -> list[str]:
    """One JSON line each, as a run would log them, floats to three places."""
    scenario = SCENARIOS[server]
    loop = Loop(scenario.ask(N, random.Random(f"golden {server}")))
    lines: list[str] = []
    for index, endpoint in enumerate(scenario.build(loop.timeline, random.Random(SEED))):

        def note(event: str, evidence: Mapping[str, JSON], index: int = index) -> None:
            line = {"at": loop.timeline.now, "instance": index, "event": event, **evidence}
            lines.append(json.dumps(_rounded(line)))

        loop.add(endpoint, AdaptiveLimits(most=None, on_decision=note))
    loop.run(latest=1e6)
    assert loop.left == 0
    return lines


def _rounded(value: JSON) -> JSON:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    return value


@pytest.mark.parametrize("server", SCENARIOS)
def test_the_decisions_are_those_of_the_golden_run(server: str) -> None:
    assert decisions(server) == (HERE / f"{server}.jsonl").read_text(encoding="utf-8").splitlines()


def test_two_runs_of_one_seed_decide_alike() -> None:
    assert decisions("S6") == decisions("S6")


if __name__ == "__main__":
    for name in SCENARIOS:
        (HERE / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in decisions(name)), encoding="utf-8")
