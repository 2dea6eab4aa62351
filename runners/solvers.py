"""How a sample is solved. A solver is `async (sample, model) -> Answer | str`."""

from __future__ import annotations

from sharding.plan import Sample

from .answer import Answer, Solver
from .client import ModelClient


async def single_turn(sample: Sample, model: ModelClient) -> Answer:
    """Send the task's messages once and take the reply."""
    reply = await model.chat(sample.task.messages, tools=sample.task.tools)
    return Answer(text=reply.text, tool_calls=reply.tool_calls)


SOLVERS: dict[str, Solver] = {"single_turn": single_turn}
