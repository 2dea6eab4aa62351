"""The prompts of a load test: random words of a known number of tokens, the sweep's own tasks, or recorded conversations.

Synthetic prompts need no tokenizer. They consist of four-letter words that are single tokens in common vocabularies. The endpoint's token
counts of two prompts calibrate the number of tokens per word.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import orjson

from providers.errors import InputError
from providers.usage.estimates import estimate_tokens
from sharding.sweep import Sweep

from .workload import Prompt

_FOUR_LETTERS = (
    "able area army baby back bank base bill blue body book call card care case city club cost dark data date deal door down each "
    "east face fact fall farm fast fear feet file film fire fish five food foot form four free full game girl give goal gold good "
    "gray hair half hall hand hard head hear heat help high hill hold home hope hour idea iron kind king lady lake land last late "
    "lead left life line list live long loss love make mark mind miss moon more most move name near need news next nine note open "
    "page pain pair park part past path plan play pool poor race rain rate read real rest rice ring road rock role roof room rule "
    "safe sale salt sand seat self ship shop side sign size skin snow soft song soul star step stop suit sure take talk tall team "
    "term test text time tone tour town tree trip true turn type unit user view wage wait walk wall warm wave week west wide wife "
    "wild wind wine wing wood word work yard year zero"
)
WORDS = tuple(_FOUR_LETTERS.split())
MOST_PROMPTS = 1_000
"""Maximum number of tasks or conversations. They repeat after that."""
FEWEST_WORDS = 1


@dataclass(frozen=True, slots=True)
class Lengths:
    """A number of tokens, drawn uniformly from `least` to `most`."""

    least: int
    most: int

    @property
    def mean(self) -> float:
        """Mean number of tokens."""
        return (self.least + self.most) / 2

    def scaled(self, factor: float) -> Lengths:
        """Multiply both bounds by the factor; at least 1 token."""
        return Lengths(max(1, round(factor * self.least)), max(1, round(factor * self.most)))

    def draw(self, draws: random.Random) -> int:
        """Draw one length."""
        return self.least if self.least == self.most else draws.randint(self.least, self.most)


def read_lengths(text: str, range_ratio: float = 0.0) -> Lengths:
    """Read `512` or `256:1024`; a ratio of 0.2 turns 512 into 410:614. Raises InputError."""
    try:
        bounds = [int(part) for part in text.split(":")]
    except ValueError:
        bounds = []
    if len(bounds) not in {1, 2} or min(bounds) < 1 or bounds[0] > bounds[-1]:
        raise InputError(f"{text!r} is not a length: write a number of tokens, or a range such as 256:1024")
    if range_ratio and len(bounds) == 2:
        raise InputError(f"{text} is already a range: omit --random-range-ratio")
    if not 0 <= range_ratio < 1:
        raise InputError(f"--random-range-ratio {range_ratio:g} must be in [0, 1)")
    return Lengths(max(1, round(bounds[0] * (1 - range_ratio))), round(bounds[-1] * (1 + range_ratio)))


@dataclass(frozen=True, slots=True)
class TokenCount:
    """The endpoint's token count of a prompt of n words: `per_request + n * per_word`."""

    per_word: float = 1.0
    per_request: float = 8.0
    """The chat template: roles and delimiters."""

    def words(self, tokens: int) -> int:
        """Return the number of words that have so many tokens."""
        return max(FEWEST_WORDS, round((tokens - self.per_request) / self.per_word))

    def tokens(self, words: int) -> float:
        """Return the number of tokens of so many words."""
        return self.per_request + words * self.per_word


@dataclass(frozen=True, slots=True)
class SyntheticPrompts:
    """Prompts of random words. The first `prefix_ratio` of every prompt is identical, so that a prefix cache has hits."""

    input: Lengths
    output: Lengths
    seed: int = 0
    prefix_ratio: float = 0.0
    count: TokenCount = TokenCount()

    def __call__(self, number: int) -> Prompt:
        draws = random.Random(f"prompt/{self.seed}/{number}")
        tokens, max_tokens = self.input.draw(draws), self.output.draw(draws)
        words = self.count.words(tokens)
        shared = round(words * self.prefix_ratio)
        prefix = random.Random(f"prefix/{self.seed}").choices(WORDS, k=shared)
        return Prompt([_question(" ".join(prefix + draws.choices(WORDS, k=words - shared)))], max_tokens)

    def in_contrast(self) -> SyntheticPrompts:
        """Return prompts of twice the tokens and half the output, which separate a token quota, a request quota and server capacity."""
        output = self.output.scaled(0.5)
        longer = 2 * (self.input.mean + self.output.mean) - output.mean
        return replace(self, input=self.input.scaled(longer / self.input.mean), output=output)

    @property
    def expected_tokens(self) -> float:
        """Mean number of input tokens; at least one word and the chat template."""
        return max(self.input.mean, self.count.tokens(FEWEST_WORDS))


def of_words(words: int, seed: int) -> Prompt:
    """Build a prompt of that many words with a short answer, for calibration."""
    return Prompt([_question(" ".join(random.Random(f"count/{seed}/{words}").choices(WORDS, k=words)))], 16)


@dataclass(frozen=True, slots=True)
class FixedPrompts:
    """A list of prompts in shuffled order, repeated without end."""

    prompts: Sequence[Prompt]

    def __call__(self, number: int) -> Prompt:
        return self.prompts[number % len(self.prompts)]


def shuffled(prompts: Sequence[Prompt], seed: int) -> FixedPrompts:
    """Shuffle the prompts by the seed."""
    return FixedPrompts(random.Random(f"order/{seed}").sample(prompts, len(prompts)))


def sweep_prompts(sweep: Sweep, model: str, max_tokens: int | None) -> list[Prompt]:
    """Collect the model's prompts of a sweep, as a run would send them. Raises InputError where there are none."""
    samples = (sweep.sample(ordinal) for ordinal in range(len(sweep)))
    own = (sample.task for sample in samples if sample.cell.model == model)
    prompts = [Prompt(task.messages, max_tokens, task.tools) for task in islice(own, MOST_PROMPTS)]
    if not prompts:
        raise InputError(f"the sweep has no sample for {model}: see its axes, or choose a synthetic workload")
    return prompts


def read_conversations(path: Path, max_tokens: int | None = None) -> list[Prompt]:
    """Read a ShareGPT file: the first question of every conversation, with as many tokens as its answer. Raises InputError."""
    try:
        rows = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}; a workload file is a ShareGPT list of conversations") from error
    prompts = list(islice(_exchanges(rows, max_tokens), MOST_PROMPTS))
    if not prompts:
        raise InputError(
            f"{path} contains no conversation: each row needs `conversations` with a human's turn and an answer"
        )
    return prompts


def _exchanges(rows: object, max_tokens: int | None) -> Iterator[Prompt]:
    for row in rows if isinstance(rows, list) else ():
        turns = row.get("conversations", row.get("conversation")) if isinstance(row, dict) else None
        messages = [text for turn in turns or () if (text := _message(turn))] if isinstance(turns, list) else []
        if len(messages) > 1 and messages[0][0] in {"human", "user"}:
            yield Prompt([_question(messages[0][1])], max_tokens or max(1, estimate_tokens(messages[1][1])))


def _message(turn: object) -> tuple[str, str] | None:
    if not isinstance(turn, Mapping):
        return None
    role, text = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    return (role, text) if isinstance(role, str) and isinstance(text, str) and role != "system" and text else None


def _question(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
