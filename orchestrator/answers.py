"""The simulator's answers, made from the tasks' targets: right with the model's skill, wrong otherwise, the truth known.

Tasks differ in difficulty. With z the task's standard-normal difficulty, a model answers right with probability
logistic(b + spread * z), where b is such that the mean over a normal population of tasks is its skill.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist

from providers.messages import JSON, ChatRequest
from providers.simulator.answers import SimulatedAnswer
from providers.simulator.draws import draw_uniform
from providers.simulator.settings import AnswerSettings, SimulatorSettings
from sharding.plan import Sample
from sharding.sweep import Sweep

from .config import Config
from .plan_following import Intention, has_succeeded, intend, next_call, plan_to_follow
from .scoring.registry import COMPARISONS

_LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)", re.DOTALL)
_WHOLE_NUMBER = re.compile(r"\d[\d,.]*(?!.*\d)", re.DOTALL)
"""The same with its groups and decimals."""
UNSURE = "I am not sure."
_FILLER = "Let me think this through. "
_GRID = [NormalDist().inv_cdf((i + 0.5) / 400) for i in range(400)]


@dataclass(frozen=True, slots=True)
class SweepAnswers:
    """A pure function of (seed, sample, turn, what tools have answered so far); the same for every attempt: a retry changes nothing."""

    sweep: Sweep
    settings: AnswerSettings
    seed: int
    takes_turns: bool = False
    """Whether the solver may send the tools' results back: then a task's plan is followed call by call."""
    _ordinals: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ordinals", self.sweep.index_ids())

    def answer(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:
        sample_id, turn, _attempt = request_id.rsplit("/", 2) if request_id.count("/") > 1 else (request_id, "1", "1")
        ordinal = self._ordinals.get(sample_id)
        if ordinal is None:
            return SimulatedAnswer("Ready.")
        sample = self.sweep.sample(ordinal)
        chance = self._chance(sample, deployment)
        if self.takes_turns and (plan := plan_to_follow(sample, request)):
            return self._follow(intend(plan, sample, self.seed, chance), sample, request)
        is_right = draw_uniform(self.seed, "right", f"{sample_id}/{turn}") < chance
        text = right_text(sample.task.target) if is_right else wrong_text(sample.task.target)
        return SimulatedAnswer(self._padding(sample_id) + text, right=is_right)

    def _follow(self, intention: Intention, sample: Sample, request: ChatRequest) -> SimulatedAnswer:
        """One turn of a tool loop; the truth is known at its end."""
        call = next_call(intention, sample, request, self.seed)
        if call is not None:
            return call
        is_right = has_succeeded(intention, sample, request)
        target = "Done." if isinstance(sample.task.target, Mapping) else sample.task.target
        text = right_text(target) if is_right else wrong_text(target)
        return SimulatedAnswer(self._padding(sample.sample_id) + text, right=is_right)

    def _chance(self, sample: Sample, deployment: str) -> float:
        skills = self.settings.skill
        name = deployment if isinstance(skills, dict) and deployment in skills else sample.cell.model
        skill = self.settings.skill_of(name)
        if not 0 < skill < 1 or self.settings.spread == 0:
            return skill
        easiness = NormalDist().inv_cdf(
            draw_uniform(self.seed, "difficulty", sample.task.family or sample.task.task_id)
        )
        return _logistic(calibrated(skill, self.settings.spread) + self.settings.spread * easiness)

    def _padding(self, sample_id: str) -> str:
        """Words before the answer where a mean length is asked for: between half and one and a half times of it."""
        if self.settings.output_tokens is None:
            return ""
        characters = 4 * self.settings.output_tokens * (0.5 + draw_uniform(self.seed, "length", sample_id))
        return _FILLER * round(characters / len(_FILLER))


def sweep_answers(config: Config, sweep: Sweep, settings: SimulatorSettings) -> SweepAnswers:
    """What a simulated provider of a configuration answers."""
    return SweepAnswers(sweep, settings.answers, settings.seed, takes_turns=config.run.solver != "single_turn")


@lru_cache
def calibrated(skill: float, spread: float) -> float:
    """The b with mean logistic(b + spread * z) = skill over standard-normal z, by bisection."""
    low, high = -40.0, 40.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        mean = sum(_logistic(middle + spread * z) for z in _GRID) / len(_GRID)
        low, high = (middle, high) if mean < skill else (low, middle)
    return (low + high) / 2


def right_text(target: JSON) -> str:
    """What the scorers accept: the target itself, or the first of several."""
    if isinstance(target, list | tuple):
        target = target[0] if target else ""
    return "Yes." if target is None else str(target)


def wrong_text(target: JSON) -> str:
    """What no scorer accepts: another last number, or other words."""
    return next((text for text in _wrong_texts(right_text(target)) if not _is_accepted(text, target)), UNSURE)


def _wrong_texts(right: str) -> Iterator[str]:
    """From the likeliest mistake to words that share nothing with any target."""
    if _LAST_NUMBER.search(right):
        yield _LAST_NUMBER.sub(lambda match: str(int(match.group()) + 7), right)
        yield _WHOLE_NUMBER.sub(lambda match: str(3 * int(re.sub(r"\D", "", match.group())) + 11), right)
    yield from (UNSURE, "?", "0", "-")


def _is_accepted(text: str, target: JSON) -> bool:
    return any(compare(text, target).grade == "full" for compare in COMPARISONS.values())


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))
