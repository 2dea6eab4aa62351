"""The client's CPU cost of a request: our whole pipeline beside the minimal client and its peers, measured by one program.

`python -m benchmarks.overhead [--quick] [--peer NAME=PYTHON] [--json FILE]`, from the folder of the repository. A server in a process of
its own answers after 250 ms, and its CPU time does not count. Each point is a fresh process. The server reads the CPU clock of that process
(user and system time with threads and children) when the first and the last counted request arrive, so that start-up and end are excluded.
The floor of a point is bare aiohttp, orjson and uvloop with the same requests and answers and as many in flight. Clients alternate. A
point is repeated until the medians of its odd and its even repetitions differ by 5 % at most, or three times as often as asked; the table
shows the median, the least and the most, and by how much the two halves differ. Other work on the machine changes times, so read ratios, or
calls per sample, which are exact.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.calls_per_sample import calls_per_sample
from benchmarks.client_cost.clients import CLIENTS
from benchmarks.client_cost.processes import DELAY_S, ClientProcesses, RequestCost, compiled_once, open_processes
from benchmarks.client_cost.rows import OverheadRow, halves_differ, rows_of, table
from benchmarks.client_cost.trials import OverheadTrial, planned_trials
from benchmarks.cores import describe_machine
from benchmarks.startup import Startup, measure_startup

PEERS = ("openai", "openai-aiohttp", "litellm", "evalscope")
"""The names of `client_cost/peers.py`, which imports them only in their own virtual environments."""
QUICK_REPETITIONS, REPETITIONS = 2, 4
AGREEMENT = 0.05
"""How far the two halves of the repetitions may differ before more are made."""
MOST = 3
"""Repetitions are at most this many times those asked for."""


def measure(
    trials: Sequence[OverheadTrial], repetitions: int, processes: ClientProcesses
) -> dict[OverheadTrial, list[RequestCost]]:
    """Run every trial `repetitions` times, alternating, after a warm-up that is not counted; then those that are not certain yet."""
    for trial in {trial.client: trial for trial in trials}.values():
        processes.warm_up(trial)
    costs: dict[OverheadTrial, list[RequestCost]] = {trial: [] for trial in trials}
    for repetition in range(MOST * repetitions):
        for trial in trials if repetition < repetitions else uncertain(costs):
            costs[trial].append(processes.cost(trial))
            _say(f"{len(costs[trial])}. {trial}: {costs[trial][-1].cpu_ms:.3f} ms")
    return costs


def uncertain(costs: Mapping[OverheadTrial, Sequence[RequestCost]]) -> list[OverheadTrial]:
    """Return the trials whose halves differ, each with its floor, which must be measured at the same time."""
    differing = [trial for trial, own in costs.items() if (halves_differ(own) or 0.0) > AGREEMENT]
    return list(dict.fromkeys(each for trial in differing for each in (trial.floor, trial)))


def count_calls(trials: Sequence[OverheadTrial], environment: Mapping[str, str]) -> dict[OverheadTrial, float]:
    """Count the calls per sample of our clients with one instance; they do not depend on the requests in flight."""
    os.environ["XDG_STATE_HOME"] = environment["XDG_STATE_HOME"]
    counted: dict[tuple[str, str, str], float] = {}
    calls: dict[OverheadTrial, float] = {}
    for trial in trials:
        if trial.client in CLIENTS and trial.instances == 1:
            case = (trial.client, trial.mode or "fixed", trial.workload)
            if case not in counted:
                counted[case] = calls_per_sample(*case).total
            calls[trial] = counted[case]
    return calls


def startup_row(startup: Startup) -> OverheadRow:
    """Build the row of the startup time."""
    return OverheadRow(
        client="orchestrator --help",
        repetitions=startup.repetitions,
        wall_ms=startup.help_ms,
        ratio_to_python=startup.help_ms / startup.python_ms,
        imported=", ".join(startup.imported) or "none",
        machine=describe_machine(),
    )


def startup_line(startup: Startup) -> str:
    """Describe the startup time in one line."""
    return (
        f"python -m orchestrator --help: {startup.help_ms:.0f} ms, {startup.help_ms / startup.python_ms:.1f} × `python -c pass` "
        f"({startup.python_ms:.0f} ms); of the heavy packages it imported: {', '.join(startup.imported) or 'none'}"
    )


def chosen_trials(options: argparse.Namespace, peers: Mapping[str, str]) -> list[OverheadTrial]:
    """Return the trials that the options ask for, each with its floor."""
    trials = planned_trials(peers, is_quick=options.quick)
    wanted = [trial for trial in trials if options.only in str(trial)]
    return list(dict.fromkeys(each for trial in wanted for each in (trial.floor, trial)))


def present_peers(given: Sequence[str]) -> dict[str, str]:
    """Return the Python of each peer that is given, and report the others. Raises SystemExit where a flag is wrong."""
    peers = dict(text.split("=", 1) for text in given if "=" in text)
    if len(peers) < len(given) or not peers.keys() <= set(PEERS):
        raise SystemExit(f"--peer takes NAME=PYTHON with a name of: {', '.join(PEERS)}")
    for name in PEERS:
        if name not in peers:
            _say(f"skipped: {name}, as no --peer {name}=PYTHON is given")
        elif not Path(peers[name]).is_file():
            _say(f"skipped: {name}, as {peers.pop(name)} is no file")
    return peers


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one row of each workload and mode; less precise figures")
    parser.add_argument("--repetitions", type=int, help=f"{REPETITIONS} by default, {QUICK_REPETITIONS} with --quick")
    parser.add_argument("--only", default="", metavar="TEXT", help='rows that contain it, such as "adaptive stream63"')
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help=", ".join(PEERS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    return parser.parse_args()


def main() -> None:
    """Measure, print the table and write the rows."""
    options = parse_options()
    peers = present_peers(options.peer)
    trials = chosen_trials(options, peers)
    repetitions = options.repetitions or (QUICK_REPETITIONS if options.quick else REPETITIONS)
    with compiled_once() as environment:
        startup = measure_startup(environment)
        with open_processes(environment, peers) as processes:
            costs = measure(trials, repetitions, processes)
        rows = [*rows_of(costs, count_calls(trials, environment)), startup_row(startup)]
    print(f"{describe_machine()}; server: {DELAY_S * 1000:.0f} ms, on a core of its own\n")
    print(table(rows))
    print(f"\n{startup_line(startup)}")
    if options.json:
        options.json.write_bytes(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
