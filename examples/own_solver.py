"""A solver of one's own: two turns, the second asks the model to check the first. Keys, quotas, retries and records are ours.

python examples/own_solver.py
"""

from __future__ import annotations

from pathlib import Path

import orchestrator as orch

HERE = Path(__file__).parent


async def solve(sample: orch.Sample, model: orch.ModelClient) -> str:
    """Answer, then read the answer again."""
    messages = list(sample.task.messages)
    first = await model.chat(messages)
    messages += [
        {"role": "assistant", "content": first.text},
        {"role": "user", "content": "Check it. Repeat the right answer."},
    ]
    second = await model.chat(messages)
    return second.text


if __name__ == "__main__":
    run = orch.run_sync(HERE / "quickstart.yaml", model=["gpt-4o-mini"], limit=20, solver=solve)
    for row in run.summary(by=["model", "prompt_type"]):
        print(row["model"], row["prompt_type"], row["success_rate"], row["mean_turns"])  # noqa: T201 - a script's output
