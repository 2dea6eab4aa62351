"""How close rate control comes to the limits of modelled endpoints: our controller and common alternatives, in virtual time.

    python benchmarks/rate_control.py                     ours and its rivals, three seeds
    python benchmarks/rate_control.py --quick --seed 7    every server once, within seconds
    python benchmarks/rate_control.py --full --holdout-seed 7 --json rows.json
    python benchmarks/rate_control.py --families chance relay --draws 5 --holdout-seed 7
    python benchmarks/rate_control.py --families relay --warm       with what an earlier run remembered, against a cold start
    python benchmarks/rate_control.py --explain "relay #3" --holdout-seed 7

Efficiency is the ideal time (the quota since the start, without burst credit) over the time taken. It is above 1 where burst credit was
used. `of_plain` is the goodput over that of the best plain loop, a client whose refused requests wait shortly, each by itself. Refused is
the share of sends that a limit refused, chance the share that was refused whatever had been sent. p99 inflation is against the unloaded
p99. Rise is the time until 90 % of a limit that has risen are used, with the number of runs that never did.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.rate_control_model import warm
from benchmarks.rate_control_model.gateways.explain import Explained
from benchmarks.rate_control_model.gateways.families import GATEWAYS, gateway
from benchmarks.rate_control_model.loop import Controller, Loop
from benchmarks.rate_control_model.measure import Build, run_once
from benchmarks.rate_control_model.quotas import QuotaRun, share_quotas
from benchmarks.rate_control_model.rivals import PLAIN, RIVALS, build_rival
from benchmarks.rate_control_model.scenario import Scenario
from benchmarks.rate_control_model.scenarios import FAMILIES, SCENARIOS, SHARES, held_out
from benchmarks.rate_control_model.sharing import TEAMS, team_scenario
from benchmarks.rate_control_model.tables import Row, add_of_plain, show
from runners.limits.adaptive.state import AdaptiveLimits

OURS = "adaptive"
SEEDS = (0, 1, 2)
DRAWS = 20
PLAIN_WORKERS = (1, 16)
ALL_FAMILIES = (*FAMILIES, *GATEWAYS)
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
    scenario = draw_held_out(server, seed)
    figures = run_controller(server, scenario, controller, n, 1000 * seed + int(index))
    return {**row, "family": family, "truth": scenario.truth, "n": scenario.n or n, **figures}


def draw_held_out(server: str, seed: int) -> Scenario:
    """Draw the endpoint with this name, "family #index"."""
    family, _, index = server.rpartition(" #")
    return (gateway if family in GATEWAYS else held_out)(family, seed, int(index))


def run_controller(server: str, scenario: Scenario, controller: str, n: int, seed: int) -> Row:
    """Return the figures of one run; for our controller also the time under each gate and the final cap, of the first instance."""
    ours: list[AdaptiveLimits] = []
    sharing: list[QuotaRun] = []

    def watch(loop: Loop) -> None:
        if ours and scenario.is_one_model:
            sharing.append(share_quotas(loop, ours))

    measured = run_once(server, scenario, _builder(server, controller, ours), n, seed, watch)
    row = measured.row()
    if ours:
        row["mergers"] = sum(len(run.mergers) for run in sharing)
        snapshot = ours[0].snapshot(measured.makespan_s)
        row["final_cap"] = snapshot["cap"]
        row["cap_mode"] = snapshot["cap_mode"]
        for blocker, seconds in ours[0].time_under(measured.makespan_s).items():
            row[f"{blocker}_s"] = round(seconds, 2)
    return row


def _builder(server: str, controller: str, ours: list[AdaptiveLimits]) -> Build:
    def build(index: int, scenario: Scenario, draw: random.Random) -> Controller:
        if controller == OURS:
            ours.append(AdaptiveLimits(most=scenario.most))
            return ours[-1]
        share = SHARES[server][index] if server in SHARES else 1.0
        return build_rival(controller, scenario.rate * share, draw)

    return build


def jobs_of(options: argparse.Namespace) -> list[Job]:
    """List the runs that the options ask for."""
    plain = [f"{PLAIN}{workers}" for workers in options.plain_workers]
    if options.families:
        return _held_out_jobs(options, options.families, plain)
    seeds = [options.seed] if options.seed is not None else ([0] if options.quick else list(SEEDS))
    jobs: list[Job] = [
        ("servers", server, controller, options.n, seed)
        for server in SCENARIOS
        for controller in (OURS, *RIVALS, *plain)
        for seed in seeds
    ]
    if options.full:
        jobs += [
            ("instances", team.name, controller, 0, seed)
            for team in TEAMS
            for controller in (OURS, *plain)
            for seed in seeds
        ]
        jobs += _held_out_jobs(options, ALL_FAMILIES, plain)
    return jobs


def _held_out_jobs(options: argparse.Namespace, families: Sequence[str], plain: Sequence[str]) -> list[Job]:
    return [
        ("held-out", f"{family} #{index}", controller, 0, seed)
        for family in families
        for seed in options.holdout_seed or [0]
        for index in range(options.draws)
        for controller in (OURS, *plain)
    ]


def run_all(jobs: Sequence[Job], processes: int) -> list[Row]:
    """Run all jobs, in parallel processes where there are several."""
    if processes == 1:
        return [run_job(job) for job in jobs]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(run_job, jobs, chunksize=4))


def compare_warm(job: Job) -> list[warm.Comparison]:
    """Run a batch with remembered limits and without."""
    part, server, _, n, seed = job
    if part == "servers":
        return warm.compare(server, SCENARIOS[server], n, seed)
    return warm.compare(server, draw_held_out(server, seed), n, 1000 * seed + int(server.rpartition("#")[2]))


def show_warm(jobs: Sequence[Job], processes: int) -> None:
    """Compare warm starts with cold ones, and print the table."""
    ours = [job for job in jobs if job[2] == OURS and job[0] != "instances"]
    with ProcessPoolExecutor(processes) as pool:
        warm.show([one for several in pool.map(compare_warm, ours, chunksize=1) for one in several])


def _held_out_name(text: str) -> str:
    family, _, index = text.rpartition(" #")
    if family not in ALL_FAMILIES or not index.isdigit():
        raise argparse.ArgumentTypeError(f'{text!r} is not a family and a number, as "relay #3"')
    return text


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--quick", action="store_true", help="every server, one seed")
    scope.add_argument("--full", action="store_true", help="three seeds, several instances, held-out servers")
    scope.add_argument("--families", nargs="+", metavar="NAME", choices=ALL_FAMILIES, help=", ".join(ALL_FAMILIES))
    scope.add_argument(
        "--explain",
        type=_held_out_name,
        metavar="DRAW",
        help='print the decisions for one held-out server, as "relay #3"',
    )
    parser.add_argument(
        "--warm", action="store_true", help="of our controller only: remembered limits against a cold start"
    )
    parser.add_argument("--seed", type=int, help="one seed instead of the usual three")
    parser.add_argument(
        "--holdout-seed", type=int, action="append", help="seed of the held-out servers; may be repeated"
    )
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"held-out servers per family and seed ({DRAWS})")
    parser.add_argument(
        "--plain-workers", type=int, nargs="+", default=PLAIN_WORKERS, help="workers of the plain loops"
    )
    parser.add_argument("--n", type=int, default=2000, help="requests per run (2000)")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write one flat row per run")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and print its tables."""
    options = parse_options()
    if options.explain is not None:
        seed = (options.holdout_seed or [0])[0]
        index = int(options.explain.rpartition("#")[2])
        Explained(draw_held_out(options.explain, seed)).run(options.explain, 1000 * seed + index)
        return
    if options.warm:
        show_warm(jobs_of(options), options.processes)
        return
    rows = run_all(jobs_of(options), options.processes)
    add_of_plain(rows)
    show(rows)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
