"""A simulated model in a tool loop: it makes the calls of the task's plan one a turn, then gives its final answer.

Right with the model's skill; otherwise its plan has one corruption, drawn from the sample. Shown a plan with a flaw, it sees through it
as often as it is right, and otherwise does what the flawed plan says. A call that comes back failed is made once
more by a persistent model, which it is with the same chance; then, or at once, it gives up. What it does next follows from the
conversation alone, so that every attempt of a turn says the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from providers.errors import InputError
from providers.messages import ChatRequest, Message
from providers.seeded_draws import draw_name, draw_uniform
from providers.simulator.answers.source import SimulatedAnswer
from runners.tools.names import name_on_the_wire
from sharding.conversation import text_of
from sharding.plan import Sample
from sharding.prompts.flaws import damage
from sharding.tasks.tool_plan import PlanStep, ToolPlan, plan_of

BROKEN_FORMAT = "broken_format"
CORRUPTIONS = (
    "tool_misuse",
    "parameter_error",
    "sequence_disorder",
    "missing_step",
    "redundant_operations",
    BROKEN_FORMAT,
)
_RESPONSE = re.compile(r"<tool_response>\n(.*?)\n</tool_response>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Intention:
    """What a model means to do with a sample."""

    steps: Sequence[PlanStep]
    is_right: bool
    is_persistent: bool
    broken_step: int | None = None
    """Its arguments are written so that nobody can read them."""


@dataclass(frozen=True, slots=True)
class PlanProgress:
    """How far a conversation is."""

    next_step: int
    has_given_up: bool = False


def plan_to_follow(sample: Sample, request: ChatRequest) -> ToolPlan | None:
    """None where the task has no plan, or the request says nothing of its tools."""
    is_told = bool(request.tools) or any("<tools>" in text_of(message.get("content")) for message in request.messages)
    return plan_of(sample.task) if is_told and sample.task.tools else None


@dataclass(frozen=True, slots=True)
class Disposition:
    """How a model is inclined on one sample."""

    seed: int
    chance: float
    """Of being right, of trying again, and of seeing through a flaw: three draws."""

    def succeeds(self, purpose: str, sample: Sample) -> bool:
        return draw_uniform(self.seed, purpose, sample.sample_id) < self.chance


def intend(plan: ToolPlan, shown: ToolPlan, sample: Sample, disposition: Disposition) -> Intention:
    """What a model means to do that is shown a plan, flawed or not: a function of (seed, sample)."""
    is_persistent, seed = disposition.succeeds("persistent", sample), disposition.seed
    if shown != plan and not disposition.succeeds("doubt", sample):
        return Intention(misled_steps(plan, shown), False, is_persistent)
    is_right = disposition.succeeds("right", sample)
    if is_right:
        return Intention(plan.steps, is_right, is_persistent)
    first = int(draw_uniform(seed, "corruption", sample.sample_id) * len(CORRUPTIONS))
    for corruption in CORRUPTIONS[first:-1]:
        try:
            return Intention(damage(plan, corruption, sample.task).steps, is_right, is_persistent)
        except InputError:  # this plan has nothing that it could befall
            continue
    broken = int(draw_uniform(seed, "broken", sample.sample_id) * len(plan.steps))
    return Intention(plan.steps, is_right, is_persistent, broken)


def misled_steps(plan: ToolPlan, shown: ToolPlan) -> Sequence[PlanStep]:
    """The steps of whoever believes a flawed plan: those that are shown; of another goal, the step that it speaks of and no other;
    and what contradicts itself is left undone."""
    if shown.goal != plan.goal:
        return [step for step in shown.steps if step.in_words in shown.goal]
    known = {step.description for step in plan.steps}
    return [step for step in shown.steps if step.description in known]


def standing(intention: Intention, results: Sequence[str]) -> PlanProgress:
    """After the results so far."""
    place, has_tried = 0, False
    for content in results:
        if not is_failed(content):
            place, has_tried = place + 1, False
        elif has_tried or not intention.is_persistent:
            return PlanProgress(place, has_given_up=True)
        else:
            has_tried = True
    return PlanProgress(place)


def is_failed(content: str) -> bool:
    """Whether a result is none: an error, nothing, cut off, or marked as out of date. A plain text is a result."""
    if not content.startswith("{"):
        return False
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError:
        return True
    return not said or "error" in said or "warning" in said


def results_so_far(messages: Sequence[Message], own: Sequence[Message]) -> Sequence[str]:
    """What tools have answered in this conversation, beyond what the task itself began with."""
    return _results(messages)[len(_results(own)) :]


def _results(messages: Sequence[Message]) -> list[str]:
    found: list[str] = []
    for message in messages:
        text = text_of(message.get("content"))
        if message.get("role") == "tool":
            found.append(text)
        elif message.get("role") == "user":
            found += _RESPONSE.findall(text)
    return found


def next_call(intention: Intention, sample: Sample, request: ChatRequest, seed: int) -> SimulatedAnswer | None:
    """The call that comes next, in the form that the request speaks; None where it is time for the final answer."""
    results = results_so_far(request.messages, sample.task.messages)
    now = standing(intention, results)
    if now.has_given_up or now.next_step >= len(intention.steps):
        return None
    step = intention.steps[now.next_step]
    is_broken = now.next_step == intention.broken_step
    if not request.tools:
        body = orjson.dumps({"name": step.tool, "arguments": step.arguments}).decode()
        return SimulatedAnswer(f"<tool_call>\n{_cut(body) if is_broken else body}\n</tool_call>")
    arguments = orjson.dumps(step.arguments).decode()
    name = name_on_the_wire(step.tool, sample.task.tools)
    function = {"name": name, "arguments": _cut(arguments) if is_broken else arguments}
    call_id = "call_" + draw_name(seed, "call", f"{sample.sample_id}/{len(results)}")
    return SimulatedAnswer("", [{"id": call_id, "type": "function", "function": function}])


def has_succeeded(intention: Intention, sample: Sample, request: ChatRequest) -> bool:
    """Whether the final answer is meant to be right: the plan was, and no step was given up."""
    now = standing(intention, results_so_far(request.messages, sample.task.messages))
    return intention.is_right and not now.has_given_up


def _cut(json: str) -> str:
    """Without its last brace: what cannot be read any more."""
    return json[:-1]
