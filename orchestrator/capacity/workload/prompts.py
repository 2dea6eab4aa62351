"""Where the prompts of a load test come from: words of a known number of tokens, the sweep's own tasks, or recorded conversations.

Synthetic prompts need no tokenizer. They are made of four-letter words that common vocabularies hold whole, and the endpoint's own
count of two of them says what a word is worth there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import orjson

from providers.errors import InputError
from providers.tokens import estimate_tokens
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
"""Of tasks or conversations; they repeat after that."""
FEWEST_WORDS = 1


@dataclass(frozen=True, slots=True)
class Lengths:
    """A number of tokens, drawn evenly from `least` to `most`."""

    least: int
    most: int

    @property
    def mean(self) -> float:
        return (self.least + self.most) / 2

    def scaled(self, factor: float) -> Lengths:
        return Lengths(max(1, round(factor * self.least)), max(1, round(factor * self.most)))

    def draw(self, draws: random.Random) -> int:
        return self.least if self.least == self.most else draws.randint(self.least, self.most)


def read_lengths(text: str, range_ratio: float = 0.0) -> Lengths:
    """`512`, or `256:1024`; a ratio of 0.2 makes 410:614 of 512. Raises InputError."""
    try:
        bounds = [int(part) for part in text.split(":")]
    except ValueError:
        bounds = []
    if len(bounds) not in {1, 2} or min(bounds) < 1 or bounds[0] > bounds[-1]:
        raise InputError(f"{text!r} is no length: write a number of tokens, or a range as 256:1024")
    if range_ratio and len(bounds) == 2:
        raise InputError(f"{text} is a range already: leave --random-range-ratio out")
    if not 0 <= range_ratio < 1:
        raise InputError(f"--random-range-ratio {range_ratio:g} must lie in [0, 1)")
    return Lengths(max(1, round(bounds[0] * (1 - range_ratio))), round(bounds[-1] * (1 + range_ratio)))


@dataclass(frozen=True, slots=True)
class TokenCount:
    """What an endpoint counts for a prompt of n words: `per_request + n * per_word`."""

    per_word: float = 1.0
    per_request: float = 8.0
    """The chat template: roles and delimiters."""

    def words(self, tokens: int) -> int:
        return max(FEWEST_WORDS, round((tokens - self.per_request) / self.per_word))

    def tokens(self, words: int) -> float:
        return self.per_request + words * self.per_word


@dataclass(frozen=True, slots=True)
class SyntheticPrompts:
    """Random words. The first `prefix_ratio` of every prompt are the same ones, so that a cache of prefixes finds something."""

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
        """Twice the tokens, half the output: a quota of tokens, one of requests and a server's time then part company."""
        output = self.output.scaled(0.5)
        longer = 2 * (self.input.mean + self.output.mean) - output.mean
        return replace(self, input=self.input.scaled(longer / self.input.mean), output=output)

    @property
    def expected_tokens(self) -> float:
        """The mean, where prompts cannot be shorter than a word and its template."""
        return max(self.input.mean, self.count.tokens(FEWEST_WORDS))


def of_words(words: int, seed: int) -> Prompt:
    """A prompt of so many words, for one small answer: its count says what a word is worth."""
    return Prompt([_question(" ".join(random.Random(f"count/{seed}/{words}").choices(WORDS, k=words)))], 16)


@dataclass(frozen=True, slots=True)
class FixedPrompts:
    """A list in an order that the seed shuffles, again and again."""

    prompts: Sequence[Prompt]

    def __call__(self, number: int) -> Prompt:
        return self.prompts[number % len(self.prompts)]


def shuffled(prompts: Sequence[Prompt], seed: int) -> FixedPrompts:
    return FixedPrompts(random.Random(f"order/{seed}").sample(prompts, len(prompts)))


def sweep_prompts(sweep: Sweep, model: str, max_tokens: int | None) -> list[Prompt]:
    """The model's samples of a sweep, as a run would send them. Raises InputError where there is none."""
    samples = (sweep.sample(ordinal) for ordinal in range(len(sweep)))
    own = (sample.task for sample in samples if sample.cell.model == model)
    found = [Prompt(task.messages, max_tokens, task.tools) for task in islice(own, MOST_PROMPTS)]
    if not found:
        raise InputError(f"the sweep has no sample for {model}: see its axes, or choose a synthetic workload")
    return found


def read_conversations(path: Path, max_tokens: int | None = None) -> list[Prompt]:
    """A ShareGPT file: the first question of every conversation, and as many tokens as its answer had. Raises InputError."""
    try:
        rows = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}; a workload file is a ShareGPT list of conversations") from error
    found = list(islice(_exchanges(rows, max_tokens), MOST_PROMPTS))
    if not found:
        raise InputError(
            f"{path} holds no conversation: each row needs `conversations` with a human's turn and an answer"
        )
    return found


def _exchanges(rows: object, max_tokens: int | None) -> Iterator[Prompt]:
    for row in rows if isinstance(rows, list) else ():
        turns = row.get("conversations", row.get("conversation")) if isinstance(row, dict) else None
        said = [text for turn in turns or () if (text := _said(turn))] if isinstance(turns, list) else []
        if len(said) > 1 and said[0][0] in {"human", "user"}:
            yield Prompt([_question(said[0][1])], max_tokens or max(1, estimate_tokens(said[1][1])))


def _said(turn: object) -> tuple[str, str] | None:
    if not isinstance(turn, Mapping):
        return None
    who, text = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    return (who, text) if isinstance(who, str) and isinstance(text, str) and who != "system" and text else None


def _question(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
