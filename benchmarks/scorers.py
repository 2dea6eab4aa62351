"""The CPU time of every built-in scorer per answer, by the length and the kind of the answer.

`python -m benchmarks.scorers [--only numeric,choice] [--json FILE]`, from the folder of the repository. A cell is the least of several
repetitions, in µs of CPU; other work on the machine raises it by half. `worked` is a solution step by step that states its result,
`argued` weighs lettered options and states one, `prose` is text without numbers or options, and `marked` is in Markdown and LaTeX.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orchestrator.scoring.registry import build_scorer, spelt_out
from orchestrator.scoring.setting import ScorerSetting
from providers.messages import JSON
from runners.calls.client import ModelClient
from runners.samples.answer import Answer, Scorer
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

SIZES = (100, 1_000, 10_000, 100_000)
REPETITIONS = 7
TRIAL_S = 0.01
"""Seconds of one repetition."""
OPTIONS = ["a copper wire", "a glass rod", "a rubber band", "a wooden spoon"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of answer: text that is repeated up to the length, and how it ends."""

    body: str
    end: str

    def of_length(self, characters: int) -> str:
        """Return an answer of this many characters."""
        room = max(0, characters - len(self.end))
        return (self.body * (room // len(self.body) + 1))[:room] + self.end


KINDS: Mapping[str, Kind] = {
    "worked": Kind(
        "Janet picks 16 pears a day and eats 3 of them at breakfast, so 16 - 3 = 13 are left. She sells them at $2.50 each, which makes "
        "13 * 2.50 = 32.50 dollars.\nIn a week she works 5 days, that is 5 * 32.50 = 162.50 dollars.\n",
        "Therefore, the answer is 42.",
    ),
    "argued": Kind(
        "Let us look at each option in turn. Option A is a metal, so it lets the current pass. Option B does not, because its electrons "
        "are bound. A and C differ in how far they stretch, which is of no use here, and it is not D either.\n",
        "So the correct answer is (B).",
    ),
    "prose": Kind(
        "The rain had stopped before noon and the streets were still wet when they left the house, so nobody noticed that the door was "
        "open. Later they would say that it had always been like this, and that the answer hardly mattered to them.\n",
        "Nothing more was said about it.",
    ),
    "marked": Kind(
        "### Step 2\n\n- **Speed**: $v = \\frac{120}{3} = 40$ km/h\n- **Time**: \\(t = 3{,}600 \\times 2\\) s, or `2` hours\n\nHence:\n\n",
        "**Answer:** $\\boxed{42}$",
    ),
}
SCORERS: Mapping[str, tuple[ScorerSetting, JSON]] = {
    "exact": ("exact", "no such text"),
    "includes": ("includes", "no such text"),
    "numeric": ("numeric", "41"),
    "choice": ("choice", "C"),
    "choice with texts": ("choice", "C"),
    "f1": ("f1", "a text of four words"),
    "exact_any": ("exact_any", "a text of four words"),
    "regex": ({"name": "regex", "pattern": r"answer is \(?(\w+)"}, "C"),
    "json_schema": ({"name": "json_schema", "schema": {"type": "object"}}, None),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """The time of one scorer on one answer."""

    scorer: str
    kind: str
    characters: int
    us: float


def measure(name: str) -> list[Cost]:
    """Measure one scorer on every kind and length."""
    setting, target = SCORERS[name]
    scorer = build_scorer(spelt_out(setting))
    task = Task("t", [], target, columns={"choices": OPTIONS} if "texts" in name else {})
    sample = Sample(0, "s", task, Cell("m", "baseline", 1.0), 0, 0)
    return [
        Cost(name, kind, size, asyncio.run(_least_us(scorer, sample, Answer(answers.of_length(size)))))
        for kind, answers in KINDS.items()
        for size in SIZES
    ]


async def _least_us(scorer: Scorer, sample: Sample, answer: Answer) -> float:
    times: list[float] = []
    calls = 1
    while len(times) < REPETITIONS:
        started = time.process_time()
        for _ in range(calls):
            await scorer(sample, answer, cast(ModelClient, None))
        took = time.process_time() - started
        if took < TRIAL_S and not times:
            calls *= 2
        else:
            times.append(took / calls)
    return 1e6 * min(times)


def table(costs: Sequence[Cost]) -> str:
    """Write a table with a line per scorer and kind."""
    lines = [f"{'µs of CPU per answer':28s}" + "".join(f"{size:>11,} B" for size in SIZES)]
    cells = {(cost.scorer, cost.kind, cost.characters): cost.us for cost in costs}
    for scorer, kind in dict.fromkeys((cost.scorer, cost.kind) for cost in costs):
        lines.append(f"{scorer:20s}{kind:8s}" + "".join(f"{cells[scorer, kind, size]:13,.1f}" for size in SIZES))
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SCORERS), help="names of scorers, separated by commas")
    parser.add_argument("--json", type=Path, help="write the times there, too")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    unknown = [name for name in names if name not in SCORERS]
    if unknown:
        parser.error(f"no scorer {unknown[0]!r}; there are {', '.join(SCORERS)}")
    costs = [cost for name in names for cost in measure(name)]
    print(table(costs))
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps([asdict(cost) for cost in costs], option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
