"""How close rate control comes to the limits of modelled endpoints: our controller and common alternatives, in virtual time.

    python benchmarks/rate_control.py                     ours and its rivals, three seeds
    python benchmarks/rate_control.py --quick --seed 7    every server once, within seconds
    python benchmarks/rate_control.py --full --holdout-seed 7 --json rows.json

Efficiency is the ideal time (the quota since the start, without burst credit) over the time taken. It is above 1 where burst credit was
used. Refused is the share of sends that were throttled. p99 inflation is against the unloaded p99.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.rate_control_model.loop import Controller
from benchmarks.rate_control_model.measure import Build, run_once
from benchmarks.rate_control_model.rivals import RIVALS, build_rival
from benchmarks.rate_control_model.scenarios import FAMILIES, SCENARIOS, SHARES, Scenario, held_out
from benchmarks.rate_control_model.sharing import TEAMS, team_scenario
from providers.messages import JSON
from runners.limits.adaptive.state import AdaptiveLimits

OURS = "adaptive"
SEEDS = (0, 1, 2)
DRAWS = 20
Row = dict[str, JSON]
Job = tuple[str, str, str, int, int]
"""part, server, controller, n, seed"""


def run_job(job: Job) -> Row:
    """Run one controller on one modelled server and return its row."""
    part, server, controller, n, seed = job
    row: Row = {"part": part, "server": server, "controller": controller, "n": n, "seed": seed}
    if part == "servers":
        scenario = SCENARIOS[server]
        return {**row, "n": scenario.n or n, **run_controller(server, scenario, controller, n, seed)}
    if part == "instances":
        scenario = team_scenario(next(team for team in TEAMS if team.name == server))
        return {**row, "n": scenario.n or n, **run_controller(server, scenario, controller, n, seed)}
    family, _, index = server.rpartition(" #")
    scenario = held_out(family, seed, int(index))
    figures = run_controller(server, scenario, controller, n, 1000 * seed + int(index))
    return {**row, "family": family, "n": scenario.n or n, **figures}


def run_controller(server: str, scenario: Scenario, controller: str, n: int, seed: int) -> Row:
    """Return the figures of one run; for our controller also the time under each gate and the final cap, of the first instance."""
    ours: list[AdaptiveLimits] = []
    measured = run_once(server, scenario, _builder(server, controller, ours), n, seed)
    row = measured.row()
    if ours:
        snapshot = ours[0].snapshot(measured.makespan_s)
        row["final_cap"] = snapshot["cap"]
        row["cap_mode"] = snapshot["cap_mode"]
        for blocker, seconds in ours[0].time_under(measured.makespan_s).items():
            row[f"{blocker}_s"] = round(seconds, 2)
    return row


def _builder(server: str, controller: str, ours: list[AdaptiveLimits]) -> Build:
    def build(index: int, scenario: Scenario, draw: random.Random) -> Controller:
        if controller == OURS:
            ours.append(AdaptiveLimits(most=None))
            return ours[-1]
        return build_rival(controller, scenario.rate * SHARES.get(server, (1.0,))[index], draw)

    return build


def jobs_of(options: argparse.Namespace) -> list[Job]:
    """List the runs that the options ask for."""
    seeds = [options.seed] if options.seed is not None else ([0] if options.quick else list(SEEDS))
    jobs: list[Job] = [
        ("servers", server, controller, options.n, seed)
        for server in SCENARIOS
        for controller in (OURS, *RIVALS)
        for seed in seeds
    ]
    if options.full:
        jobs += [("instances", team.name, OURS, 0, seed) for team in TEAMS for seed in seeds]
        jobs += [
            ("held-out", f"{family} #{index}", OURS, 0, seed)
            for seed in options.holdout_seed or [0]
            for family in FAMILIES
            for index in range(DRAWS)
        ]
    return jobs


def run_all(jobs: Sequence[Job], processes: int) -> list[Row]:
    """Run all jobs, in parallel processes where there are several."""
    if processes == 1:
        return [run_job(job) for job in jobs]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(run_job, jobs, chunksize=4))


# ------------------------------------------------------------------ tables
def show(rows: Sequence[Row]) -> None:
    """Print the tables."""
    _show_groups(
        [row for row in rows if row["part"] != "held-out"], lambda row: (str(row["server"]), str(row["controller"]))
    )
    held_out_rows = [row for row in rows if row["part"] == "held-out"]
    if held_out_rows:
        _show_held_out(held_out_rows)


def _show_groups(rows: Sequence[Row], key: Callable[[Row], tuple[str, str]]) -> None:
    print(
        f"{'server':<20} {'controller':<17} {'eff':>6} {'worst':>6} {'refused':>8} {'p99':>7} {'peak':>5}"
        f" {'settled':>8} {'converged':>9} {'cap':>5}"
    )
    for (server, controller), group in _grouped(rows, key):
        efficiency, caps = _values(group, "efficiency"), _values(group, "final_cap")
        converged = _values(group, "converged_s")
        print(
            f"{server:<20} {controller:<17} {statistics.mean(efficiency):6.3f} {min(efficiency):6.3f}"
            f" {100 * statistics.mean(_values(group, 'refused')):7.2f}% {statistics.mean(_values(group, 'p99_inflation')):6.2f}x"
            f" {max(_values(group, 'peak_in_flight')):5.0f} {_settled(group):>8}"
            f" {f'{statistics.mean(converged):.0f} s' if converged else 'never':>9}"
            f" {f'{statistics.mean(caps):.0f}' if caps else '':>5}"
        )


def _settled(group: Sequence[Row]) -> str:
    """Return requests in flight in the second half of the run: median and p95 of the worst seed."""
    return f"{max(_values(group, 'in_flight_median')):.0f}/{max(_values(group, 'in_flight_p95')):.0f}"


def _show_held_out(rows: Sequence[Row]) -> None:
    print(
        f"\n{'held-out family':<20} {'draws':>5} {'median':>7} {'p10':>6} {'worst':>6} {'refused':>8} {'p90':>7} {'>= 0.97':>8}"
    )
    for (family, _), group in _grouped(rows, lambda row: (str(row["family"]), "")):
        efficiency, refused = sorted(_values(group, "efficiency")), sorted(_values(group, "refused"))
        tenth = len(group) // 10
        print(
            f"{family:<20} {len(group):>5} {statistics.median(efficiency):7.3f} {efficiency[tenth]:6.3f} {efficiency[0]:6.3f}"
            f" {100 * statistics.median(refused):7.2f}% {100 * refused[-1 - tenth]:6.2f}% {sum(e >= 0.97 for e in efficiency):>8}"
        )


def _grouped(rows: Iterable[Row], key: Callable[[Row], tuple[str, str]]) -> Iterable[tuple[tuple[str, str], list[Row]]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups.items()


def _values(rows: Iterable[Row], name: str) -> list[float]:
    return [float(value) for row in rows if isinstance(value := row.get(name), (int, float))]


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--quick", action="store_true", help="every server, one seed")
    scope.add_argument("--full", action="store_true", help="three seeds, several instances, held-out servers")
    parser.add_argument("--seed", type=int, help="one seed instead of the usual three")
    parser.add_argument(
        "--holdout-seed", type=int, action="append", help="seed of the held-out servers; may be repeated"
    )
    parser.add_argument("--n", type=int, default=2000, help="requests per run (2000)")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write one flat row per run")
    options = parser.parse_args()
    rows = run_all(jobs_of(options), options.processes)
    show(rows)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
