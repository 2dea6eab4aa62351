"""The simulator's answers, derived from the tasks' targets: right with the probability of the model's skill, else wrong, and labelled.

Tasks differ in difficulty. With z the task's standard-normal easiness, a model answers right with probability
logistic(b + gain + spread * z). b is calibrated so that without a gain the mean over a normal population of tasks is the skill; gain is the
sum of `answers.gain` for the prompt type and the difficulty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist

import orjson

from providers.errors import InputError
from providers.messages import JSON, ChatRequest
from providers.seeded_draws import draw_uniform
from providers.simulator.answers.source import EchoAnswers, SimulatedAnswer
from providers.simulator.settings.answers import AnswerSettings
from providers.simulator.settings.provider import SimulatorSettings
from runners.calls.client import JUDGE_TURN
from runners.samples.answer import REFUSAL
from runners.tools.text_format import TextFormat, TextProtocol
from sharding.plan import Sample
from sharding.sweep import Sweep
from sharding.tasks.task import Task

from ..config.loading import LoadedConfig
from ..scoring.expected_calls import ExpectedCalls, expectation_of
from ..scoring.judge import judged_answer
from ..scoring.registry import COMPARISONS, spelt_out
from ..scoring.targets.accepted import accepted_texts
from .letters import ShownLetters
from .plan_following import Conversation, Disposition, Intention, has_succeeded, intend, next_call, plan_to_follow
from .scripts import Script, as_answer, build_script
from .tool_answers import ToolDraw, ToolTask

_LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)", re.DOTALL)
_WHOLE_NUMBER = re.compile(r"\d[\d,.]*(?!.*\d)", re.DOTALL)
"""The last number with its digit groups and decimals."""
UNSURE = "I am not sure."
REFUSES = "I'm sorry, but I can't help with that."
_FILLER = "Let me think this through. "
_GRID = [NormalDist().inv_cdf((i + 0.5) / 400) for i in range(400)]


@dataclass(frozen=True, slots=True)
class SweepAnswers:
    """The answers to the samples of a sweep; they depend on (seed, sample, turn, results of tools so far) only, never on the attempt."""

    sweep: Sweep
    settings: AnswerSettings
    seed: int
    takes_turns: bool = False
    """Whether the solver sends results of tools back; the answers then follow the task's plan call by call."""
    protocols: Mapping[str, TextProtocol] = field(default_factory=dict)
    """The text protocol of every model that calls tools in text."""
    script: Script | None = None
    """The user's own answers."""
    letters: ShownLetters | None = None
    """How multiple choice is answered where a prompt shows letters."""
    _ordinals: Mapping[bytes, int] = field(init=False)
    _corruptions: Sequence[tuple[str, float]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ordinals", self.sweep.index_ids())
        object.__setattr__(self, "_corruptions", [(name, share) for name, share in self.settings.corruptions if share])

    def answer(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:
        """Answer a request of a sample, of a judge, or of a load test."""
        sample_id, turn, _attempt = request_id.rsplit("/", 2) if request_id.count("/") > 1 else (request_id, "1", "1")
        ordinal = self._ordinals.get(_digest(sample_id))
        if ordinal is None:
            return self._filler(request_id, request, deployment)
        key, sample = f"{sample_id}/{turn}", self.sweep.sample(ordinal)
        if turn.startswith(JUDGE_TURN) and (judged := judged_answer(request.messages)) is not None:
            return self._verdict(key, judged, sample.task, deployment)
        if (scripted := self._scripted(sample, request, turn)) is not None:
            return scripted
        chance, corruption = self._chance(sample, deployment), self._corruption(key)
        if corruption == REFUSAL:
            return SimulatedAnswer(REFUSES, right=False, corruption=corruption)
        is_right = draw_uniform(self.seed, "right", key) < chance
        protocol = self.protocols.get(sample.cell.model)
        if (
            self.takes_turns
            and "plan" in (sample.task.metadata or {})
            and (plan := plan_to_follow(sample, request, protocol))
        ):
            prompt = self.sweep.prompt(ordinal)
            shown = prompt.shown_plan(sample.task) if prompt.flaw or prompt.plan else None
            intention = intend(plan, shown or plan, sample, Disposition(self.seed, chance))
            return self._follow(intention, Conversation(sample, request, protocol or TextProtocol()))
        expected = _expectation(sample.task) if request.tools else None
        if expected is not None:
            return self._calls(key, request, ToolTask(sample.task, expected), is_right, corruption)
        letters = None if self.letters is None else self.letters.answers(sample.task, ordinal, request)
        if letters is not None:
            text = letters[not is_right]
        else:
            text = right_text(sample.task.target) if is_right else wrong_text(sample.task.target)
        return SimulatedAnswer(self._padding(sample_id) + self._in_template(text), right=is_right)

    def _corruption(self, key: str) -> str | None:
        if not self._corruptions:
            return None
        left = draw_uniform(self.seed, "corruption", key)
        for name, share in self._corruptions:
            left -= share
            if left < 0:
                return name
        return None

    def _calls(
        self, key: str, request: ChatRequest, tool_task: ToolTask, is_right: bool, corruption: str | None
    ) -> SimulatedAnswer:
        """Return the expected calls, or a final text after results of tools; a corruption that does not apply is ignored."""
        if request.messages[-1].get("role") == "tool":
            return SimulatedAnswer("Done.")
        draw = ToolDraw(self.seed, key)
        return tool_task.answer(draw, corruption, is_right=is_right)

    def _verdict(self, key: str, judged: str, task: Task, deployment: str) -> SimulatedAnswer:
        """Build the answer of a judge, which recognises right answers with its own skill; "format" makes its verdict unreadable."""
        if self._corruption(key) == "format":
            return SimulatedAnswer("Hard to say.", corruption="format")
        sees_right = draw_uniform(self.seed, "right", key) < self.settings.skill_of(deployment)
        is_full = (COMPARISONS["includes"](judged, right_text(task.target)).grade == "full") == sees_right
        return SimulatedAnswer(f"As the rubric says.\nGRADE: {'full' if is_full else 'failed'}", right=sees_right)

    def _in_template(self, text: str) -> str:
        return self.settings.template.replace("{target}", text)

    def _filler(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:
        """Answer a request that is no sample of the sweep, as of a load test, with filler of the usual or the largest length."""
        tokens = self.settings.output_tokens or request.generation.output_limit
        if tokens is None:
            return SimulatedAnswer("Ready.")
        return EchoAnswers(tokens, self.seed).answer(request_id, request, deployment)

    def _scripted(self, sample: Sample, request: ChatRequest, turn: str) -> SimulatedAnswer | None:
        """Return the scripted answer; None where there is none for this turn."""
        if self.script is None or not turn.isdecimal():
            return None
        try:
            reply = self.script(sample, request.messages, int(turn))
            return None if reply is None else as_answer(reply, sample.task.task_id)
        except InputError as error:
            return SimulatedAnswer("", error=str(error))

    def _follow(self, intention: Intention, conversation: Conversation) -> SimulatedAnswer:
        """Answer one turn of a tool loop: the next call, or the final answer with its label."""
        call, sample = next_call(intention, conversation, self.seed), conversation.sample
        if call is not None:
            return call
        is_right = has_succeeded(intention, conversation)
        target = "Done." if isinstance(sample.task.target, Mapping) else sample.task.target
        text = right_text(target) if is_right else wrong_text(target)
        return SimulatedAnswer(self._padding(sample.sample_id) + text, right=is_right)

    def _chance(self, sample: Sample, deployment: str) -> float:
        skills = self.settings.skill
        name = deployment if isinstance(skills, dict) and deployment in skills else sample.cell.model
        skill = self.settings.skill_of(name)
        gain = sum(self.settings.gain.get(name, 0.0) for name in (sample.cell.prompt_type, sample.task.difficulty))
        if not 0 < skill < 1 or (self.settings.spread == 0 and not gain):
            return skill
        easiness = NormalDist().inv_cdf(
            draw_uniform(self.seed, "difficulty", sample.task.family or sample.task.task_id)
        )
        return _logistic(calibrated(skill, self.settings.spread) + gain + self.settings.spread * easiness)

    def _padding(self, sample_id: str) -> str:
        """Build filler before the answer where a mean length is set, of 0.5 to 1.5 times that length."""
        if self.settings.output_tokens is None:
            return ""
        characters = 4 * self.settings.output_tokens * (0.5 + draw_uniform(self.seed, "length", sample_id))
        return _FILLER * round(characters / len(_FILLER))


def _digest(sample_id: str) -> bytes:
    """Read the digest that an id is the hex form of; of any other text nothing that a sample has."""
    try:
        return bytes.fromhex(sample_id)
    except ValueError:
        return b""


def sweep_answers(loaded: LoadedConfig, sweep: Sweep, settings: SimulatorSettings) -> SweepAnswers:
    """Build the answers of a simulated provider. Raises InputError if its script cannot be used."""
    config, script = loaded.config, settings.answers.script
    formats = config.tool_formats()
    return SweepAnswers(
        sweep,
        settings.answers,
        settings.seed,
        takes_turns=config.run.solver != "single_turn",
        protocols={name: own.protocol for name, own in formats.items() if isinstance(own, TextFormat)},
        script=None if script is None else build_script(script, loaded.base, sweep),
        letters=ShownLetters(sweep, spelt_out(config.run.scorer)),
    )


@lru_cache
def calibrated(skill: float, spread: float) -> float:
    """Compute the b with mean logistic(b + spread * z) = skill over standard-normal z, by bisection."""
    low, high = -40.0, 40.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        mean = sum(_logistic(middle + spread * z) for z in _GRID) / len(_GRID)
        low, high = (middle, high) if mean < skill else (low, middle)
    return (low + high) / 2


def right_text(target: JSON) -> str:
    """Return a text that the scorers accept: the target, or the first of several; an object of unknown form as JSON."""
    try:
        accepted = accepted_texts(target)
    except ValueError:
        return orjson.dumps(target).decode()
    return next(iter(accepted), "Yes.")


def wrong_text(target: JSON) -> str:
    """Return a text that no scorer accepts: with another last number, or with other words."""
    return _known_wrong_text(target) if isinstance(target, str | int | float) else _find_wrong_text(target)


def _find_wrong_text(target: JSON) -> str:
    return next((text for text in _wrong_texts(right_text(target)) if not _is_accepted(text, target)), UNSURE)


_known_wrong_text = lru_cache(maxsize=4_096, typed=True)(_find_wrong_text)
"""Cached, because running every scorer takes longer than the rest of an answer."""


def _wrong_texts(right: str) -> Iterator[str]:
    """Yield candidates, from likely mistakes to texts that have nothing in common with a target."""
    if re.fullmatch(r"\(?[A-J]\)?", right):
        yield "B" if "A" in right else "A"
    if _LAST_NUMBER.search(right):
        yield _LAST_NUMBER.sub(lambda match: str(int(match.group()) + 7), right)
        yield _WHOLE_NUMBER.sub(lambda match: str(3 * int(re.sub(r"\D", "", match.group())) + 11), right)
    yield from (UNSURE, "?", "0", "-")


def _expectation(task: Task) -> ExpectedCalls | None:
    """Return the calls that answer the task in one turn; None where the target is a text, because a plan then only leads to it."""
    if isinstance(task.target, str | int | float):
        return None
    try:
        return expectation_of(task)
    except ValueError:  # the scorer reports what is wrong with the task
        return None


def _is_accepted(text: str, target: JSON) -> bool:
    try:
        return any(compare(text, target).grade == "full" for compare in COMPARISONS.values())
    except ValueError:  # an object that no comparison of text reads
        return False


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))
