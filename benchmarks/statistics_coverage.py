"""Check that intervals and the paired test are right as often as stated, on GSM8K answered by simulated models of known skill.

`python -m benchmarks.statistics_coverage [--data FILE] [--seeds N] [--replicates N] [--json FILE]`, from the folder of the repository.

Tasks differ in difficulty (spread 1.0), which all models share, so that their answers are correlated. A model's skill is its mean over a
normal population of tasks. It is the truth that an interval must cover. Answers come from the simulator's answer source and are graded by
the scorer `numeric`, without requests; `summarise` and `compare_levels` then work as for a run. One run over HTTP must agree with that
record by record.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import NormalDist

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import orchestrator as orch
from benchmarks.cores import describe_machine
from benchmarks.statistics_exam import SKILLS, SPREAD, Design, Exam, sitting
from orchestrator.results.compare.contrast import Contrast, Question, compare_levels
from orchestrator.results.stats.power import POWER, detectable_mean_effect, minimum_detectable_effect
from orchestrator.results.summaries.summary import summarise
from orchestrator.simulation.answers import calibrated

ROOT = Path(__file__).resolve().parent.parent
GSM8K = ROOT.parent / "shared" / "data" / "gsm8k_test.jsonl"
FAMILY = 4
"""Tasks that share a difficulty, where there are families."""
EPOCHS = 3
TASKS_OF_A_TEST = 300
SKILL_OF_A_TEST = 0.55
FEWER = 5
"""Factor of replicates for false positives over those for power.

1 percentage point off is a fifth of the rate of false positives, 5 points off are a sixteenth of the power.
"""
POPULATION = [NormalDist().inv_cdf((i + 0.5) / 400) for i in range(400)]
"""Quantiles of the difficulty."""
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """One checked statement: the stated and the measured rate, and the accepted range."""

    what: str
    n: int
    """Number of intervals or replicates."""
    said: float
    found: float
    low: float
    high: float
    """The accepted range is from `low` to `high`."""
    detail: str = ""
    machine: str = ""

    @property
    def holds(self) -> bool:
        """Whether the measured rate is in the accepted range."""
        return self.low <= self.found <= self.high


# ------------------------------------------------------------------ intervals
def measure_coverage(what: str, design: Design, seeds: int) -> list[Row]:
    """Count the intervals that cover the skill, in total and per model."""
    held: dict[str, list[bool]] = {name: [] for name in SKILLS}
    widths: dict[str, list[float]] = {name: [] for name in SKILLS}
    with sitting(design) as exam:
        for seed in range(seeds):
            for row in summarise(exam.records(SKILLS, seed), ["model"]):
                model, low, high = str(row["model"]), float(str(row["success_low"])), float(str(row["success_high"]))
                held[model].append(low <= SKILLS[model] <= high)
                widths[model].append(high - low)
    by_model = ", ".join(f"{SKILLS[name]}: {sum(covers)} of {len(covers)}" for name, covers in held.items())
    width = sum(map(sum, widths.values())) / sum(map(len, widths.values()))
    every = [covers for model_covers in held.values() for covers in model_covers]
    detail = f"{by_model}; mean width {100 * width:.1f} points"
    return [Row(f"coverage, {what}", len(every), 0.95, sum(every) / len(every), 0.92, 0.98, detail)]


# ------------------------------------------------------------------ the paired test
def measure_test(what: str, design: Design, skill: float, replicates: int) -> list[Row]:
    """Count how often two equal models are distinguished, and two that differ by the minimum detectable effect."""
    first, second = design.models
    fewer = max(1, replicates // FEWER)
    with sitting(design) as exam:
        equal = [_contrast(exam, {first: skill, second: skill}, seed) for seed in range(replicates)]
        effect = _detectable(equal, skill)
        better = [_contrast(exam, {first: skill, second: skill + effect}, seed) for seed in range(fewer)]
    assert equal[0].paired is not None
    assert better[0].paired is not None
    method = f"{equal[0].paired.method}, {equal[0].paired.n} pairs in {equal[0].paired.clusters} clusters"
    wrong, power = (sum(map(_is_found, contrasts)) / len(contrasts) for contrasts in (equal, better))
    stated_effect = sum(contrast.detectable for contrast in better) / fewer
    effects = f"{method}; skill {skill} and {skill + effect:.4f}, the comparison itself states {100 * stated_effect:.2f} points"
    return [
        Row(f"false positives, {what}", replicates, SIGNIFICANT, wrong, 0.04, 0.06, method),
        Row(f"power at the detectable effect, {what}", fewer, POWER, power, POWER - 0.05, POWER + 0.05, effects),
    ]


def _contrast(exam: Exam, skills: Mapping[str, float], seed: int) -> Contrast:
    (contrast,) = compare_levels(exam.records(skills, seed), Question("model"))
    return contrast


def _is_found(contrast: Contrast) -> bool:
    return contrast.adjusted_p < SIGNIFICANT


def _detectable(equal: Sequence[Contrast], skill: float) -> float:
    """Compute the effect that a plan would state: by the formula, for the known tasks and models."""
    paired = [contrast.paired for contrast in equal if contrast.paired is not None]
    if paired[0].method.startswith("McNemar"):
        return _effect_of(paired[0].n, skill)
    return detectable_mean_effect(
        math.sqrt(math.fsum(difference.standard_error**2 for difference in paired) / len(paired))
    )


def _effect_of(pairs: int, skill: float) -> float:
    """Find the effect that equals the one detectable at the discordance of two models this far apart."""
    effect = 0.0
    for _ in range(50):
        effect = minimum_detectable_effect(pairs, _discordance(skill, skill + effect))
    return effect


def _discordance(first: float, second: float) -> float:
    """Compute the share of tasks where two independent answers differ, over the population of difficulties."""
    chances = ((_chance(first, z), _chance(second, z)) for z in POPULATION)
    return sum(p * (1 - q) + q * (1 - p) for p, q in chances) / len(POPULATION)


def _chance(skill: float, easiness: float) -> float:
    return 1 / (1 + math.exp(-calibrated(skill, SPREAD) - SPREAD * easiness))


# ------------------------------------------------------------------ over HTTP
def measure_agreement(design: Design, seed: int) -> list[Row]:
    """Compare a run with server, sockets and files to the computation without requests, by sample and by interval."""
    run = asyncio.run(orch.run(design.config(SKILLS, seed)))
    with sitting(design) as exam:
        short = exam.records(SKILLS, seed)
    keys = ["model", "task_id", "epoch"]
    order = [(name, "ascending") for name in keys]
    pairs = zip(*(t.select([*keys, "passed"]).sort_by(order).to_pylist() for t in (run.to_arrow(), short)), strict=True)
    same = [run_row == exam_row for run_row, exam_row in pairs]
    figures = ("model", "success_rate", "success_low", "success_high")
    tables = [
        [[row[name] for name in figures] for row in rows]
        for rows in (run.summary("model"), summarise(short, ["model"]))
    ]
    detail = "the summaries are equal to the last digit" if tables[0] == tables[1] else f"summaries differ: {tables}"
    share = sum(same) / len(same) if tables[0] == tables[1] else 0.0
    return [Row("records that agree with a run over HTTP", len(same), 1.0, share, 1.0, 1.0, detail)]


def write_tasks(folder: Path, source: Path) -> None:
    """Write the questions unchanged, and with families of neighbours."""
    rows = [orjson.loads(line) for line in source.read_bytes().splitlines()]
    related = [{**row, "family": f"family-{number // FAMILY}"} for number, row in enumerate(rows)]
    for name, tasks in (("tasks.jsonl", rows), ("families.jsonl", related)):
        (folder / name).write_bytes(b"\n".join(map(orjson.dumps, tasks)))


def measure(folder: Path, seeds: int, replicates: int, processes: int) -> Iterator[Row]:
    """Run all checks in parallel processes."""
    everyone, two = list(SKILLS), list(SKILLS)[:2]
    alone, related = "independent tasks", f"families of {FAMILY}"
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = [
            pool.submit(measure_agreement, Design(folder, everyone, has_families=True), 7),
            pool.submit(measure_coverage, alone, Design(folder, everyone), seeds),
            pool.submit(
                measure_coverage, f"{related}, {EPOCHS} epochs", Design(folder, everyone, None, True, EPOCHS), seeds
            ),
            pool.submit(measure_test, alone, Design(folder, two, TASKS_OF_A_TEST), SKILL_OF_A_TEST, replicates),
            pool.submit(measure_test, related, Design(folder, two, TASKS_OF_A_TEST, True), SKILL_OF_A_TEST, replicates),
        ]
        for part in parts:
            yield from part.result()


def main() -> None:
    """Run all checks, print them, and exit with 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=GSM8K, help="GSM8K's test set as it is published")
    parser.add_argument("--seeds", type=int, default=100, help="number of seeds; each gives an interval per model")
    parser.add_argument(
        "--replicates",
        type=int,
        default=10_000,
        help="replicates of two equal models; a fifth of them for two that differ",
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"skipped: {options.data} does not exist; name GSM8K's test set (openai/grade-school-math) with --data")
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="statistics-") as folder:
        write_tasks(Path(folder), options.data)
        for row in measure(Path(folder), options.seeds, options.replicates, options.processes):
            rows.append(replace(row, machine=describe_machine()))
            verdict = "holds" if row.holds else "DOES NOT HOLD"
            print(
                f"{row.what}: {100 * row.found:.1f} % of {row.n:,} ({100 * row.said:.0f} % stated), {verdict}; {row.detail}",
                flush=True,
            )
    if options.json:
        options.json.write_bytes(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2))
    sys.exit(0 if all(row.holds for row in rows) else 1)


if __name__ == "__main__":
    main()
