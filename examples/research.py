"""A study of one's own: does a vote of three beat one answer? Own solver, own scorer; keys, quotas, retries and records are ours.

python examples/research.py        (pip install '.[analysis]' for pandas)
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pandas as pd

import orchestrator as orch

SWEEP = Path(__file__).parent / "quickstart.yaml"
VOTES = 3


def last_number(text: str) -> str:
    """What an answer ends in."""
    return next(reversed(re.findall(r"-?\d+", text)), "")


async def vote(sample: orch.Sample, model: orch.ModelClient) -> orch.Answer:
    """Ask three times and take what most replies say."""
    replies = [last_number((await model.chat(sample.task.messages)).text) for _ in range(VOTES)]
    ((number, votes),) = Counter(replies).most_common(1)
    return orch.Answer(number, metadata={"votes": votes})


async def agreed(sample: orch.Sample, answer: orch.Answer, _: orch.ModelClient) -> orch.Score:
    """Full where all agree on what is right, partial where most do."""
    if answer.text != str(sample.task.target):
        return orch.Score(0.0, "failed", error_class="outvoted")
    votes = (answer.metadata or {}).get("votes")
    return orch.Score(1.0, "full") if votes == VOTES else orch.Score(0.5, "partial", error_class="divided")


if __name__ == "__main__":
    methods = {"one answer": (None, None), "vote of three": (vote, agreed)}
    cot = {"sweep.prompt_types": ["cot"]}
    runs = {
        name: orch.run_sync(SWEEP, limit=30, settings=cot, solver=solver, scorer=scorer)
        for name, (solver, scorer) in methods.items()
    }
    frame = pd.concat([run.to_pandas().assign(method=method) for method, run in runs.items()])
    frame["is_right"] = frame.grade.isin(["full", "partial"])
    table = frame.groupby(["model", "method"])[["is_right", "score", "turns", "working_s"]].mean().round(2)
    print(table)  # noqa: T201 - a script's output
