"""How near a ladder comes to the truth: servers with known limits, drawn by a salt, on the virtual clock.

    python -m benchmarks.ladder_truth                           two draws of every family
    python -m benchmarks.ladder_truth --salt 7 --draws 12       others, and more of them
    python -m benchmarks.ladder_truth --only knee --only hard --json rows.json

`truth` is the limit in flight, or the quota a minute (families quota and held); `named` is what the ladder says, with its interval. A
quota's truth is compared with the ceiling. `binding_right` is whether what binds is named rightly, `certain` whether the ladder is sure.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.ladder_truth.families import FAMILIES, KINKED, Case, draw
from orchestrator.capacity.ladders import TOGETHER, shares_of
from orchestrator.capacity.measurement.bench import Bench, RungDuration
from orchestrator.capacity.measurement.spec import INPUT, OUTPUT
from orchestrator.capacity.search.binding import StatedLimits
from orchestrator.capacity.search.ladder import Ladder, climb, conclude
from orchestrator.capacity.search.next_step import LadderPlan
from orchestrator.capacity.search.rules import Rules
from orchestrator.capacity.workload.prompts import SyntheticPrompts
from providers.instance import Instance
from providers.messages import ChatRequest, Generation
from runners.event_loop.virtual_time import run_virtual
from runners.load.run_load import Target

UNTIMED = Rules(max_cpu_share=math.inf, max_lag_s=math.inf)
"""On a virtual clock the client's own time says nothing."""
Row = dict[str, object]


def ask(prompts: SyntheticPrompts, number: int) -> ChatRequest:
    """Build a request of the default workload's lengths; its text is the number of its tokens, which takes no time to write."""
    draws = random.Random(number)
    tokens, output = prompts.input.draw(draws), prompts.output.draw(draws)
    return ChatRequest(
        [{"role": "user", "content": str(tokens)}], generation=Generation(max_tokens=output, stream=True)
    )


def climb_case(case: Case) -> Ladder:
    """Run a ladder; of several instances one for each, and then the one of all together."""
    return run_virtual(_climb_case(case))


async def _climb_case(case: Case) -> Ladder:
    names = [f"m-{number}" for number in range(len(case.servers))]
    instances = [Instance(name, "m", name, name, name) for name in names]
    senders = dict(zip(names, case.servers, strict=True))
    prompts = SyntheticPrompts(INPUT, OUTPUT)
    ladders: list[Ladder] = []
    for group in [*([one] for one in instances), *([instances] if len(instances) > 1 else [])]:
        bench = Bench(
            Target(group, senders, partial(ask, prompts), 300.0),
            RungDuration(window_s=case.window_s),
            contrast=partial(ask, prompts.in_contrast()),
        )
        bench.shares = shares_of(ladders)
        plan = LadderPlan(rules=UNTIMED, contrasts=True).times(len(group))
        rungs = await climb(bench, plan, StatedLimits(), (), lambda _rungs: None)
        name = group[0].name if len(group) == 1 else TOGETHER
        ladders.append(conclude(name, "m", StatedLimits(), plan, rungs))
    return ladders[-1]


def row_of(case: Case, index: int, ladder: Ladder, took_s: float) -> Row:
    """Compare what a ladder says with the truth."""
    binding = ladder.binding
    named: float | None = {"limit": ladder.limit, "qpm": binding.qpm_ceiling, "tpm": binding.tpm_ceiling}[case.figure]
    interval = getattr(ladder, "interval", None) if case.figure == "limit" else None
    error = None if named is None or case.truth is None else named / case.truth - 1
    right = binding.limit in case.binding
    is_named = (
        case.figure == "limit" or case.window_s is not None
    )  # without whole windows only the kind of quota is claimed
    is_far = is_named and error is not None and abs(error) > 0.2
    return {
        "family": case.family,
        "index": index,
        "truth": case.truth,
        "named": named,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "error": error,
        "binding": binding.limit,
        "binding_right": right,
        "certain": binding.sureness == "certain",
        "wrongly_certain": binding.sureness == "certain" and (not right or is_far),
        "requests": sum(server.requests for server in case.servers),
        "refused": sum(server.refused for server in case.servers),
        "rungs": [f"{rung.phase} {rung.concurrency}" for rung in ladder.rungs],
        "took_s": round(took_s, 2),
    }


def show(rows: Sequence[Row]) -> None:
    """Print one line per family."""
    print(f"{'family':15} {'n':>3} {'named':>5} {'≤15 %':>5} {'median':>7} {'worst':>7} {'covered':>7} ", end="")
    print(f"{'binding':>7} {'wrongly certain':>15} {'requests':>9} {'refused':>8}")
    groups = [(family, [row for row in rows if row["family"] == family]) for family in FAMILIES]
    for family, group in [*groups, ("kinked, all", [row for row in rows if row["family"] in KINKED])]:
        if group:
            _show_family(family, group)


def _show_family(family: str, group: Sequence[Row]) -> None:
    errors = [float(str(row["error"])) for row in group if row["error"] is not None]
    near = sum(abs(error) <= 0.15 for error in errors)
    worst = max(errors, key=abs, default=math.nan)
    middle = median(map(abs, errors)) if errors else math.nan
    print(
        f"{family:15} {len(group):3} {sum(row['named'] is not None for row in group):5} {near:5} {middle:7.1%} {worst:+7.1%} "
        f"{sum(map(_is_covered, group)):7} {sum(bool(row['binding_right']) for row in group):7} "
        f"{sum(bool(row['wrongly_certain']) for row in group):15} "
        f"{median(int(str(row['requests'])) for row in group):9,.0f} {median(int(str(row['refused'])) for row in group):8,.0f}"
    )


def _is_covered(row: Row) -> bool:
    if row["truth"] is None or row["low"] is None or row["high"] is None:
        return False
    return float(str(row["low"])) <= float(str(row["truth"])) <= float(str(row["high"]))


def main() -> None:
    """Run the battery and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--salt", type=int, default=0, help="draws other servers (0)")
    parser.add_argument("--only", action="append", choices=list(FAMILIES), metavar="FAMILY", help="may be repeated")
    parser.add_argument("--draws", type=int, default=2, help="servers of each family (2)")
    parser.add_argument("--index", type=int, help="one server of each family, by its number, with its rungs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write one flat row per ladder")
    options = parser.parse_args()
    rows: list[Row] = []
    for family in options.only or FAMILIES:
        for index in range(options.draws) if options.index is None else [options.index]:
            case, began = draw(family, options.salt, index), time.perf_counter()
            rows.append(row_of(case, index, climb_case(case), time.perf_counter() - began))
            if options.index is not None:
                print(json.dumps(rows[-1]))
    show(rows)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
