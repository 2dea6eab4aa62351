"""Our adaptive limits against a LiteLLM proxy and a mock that refuses at random, beside a plain loop, over loopback HTTP.

    python -m benchmarks.gateways                                      the mock
    python -m benchmarks.gateways --litellm venv/bin/python            every case; the environment has `litellm[proxy]`
    python -m benchmarks.gateways --case random_8 --seed 3 --json rows.json

Every client has the same keys, samples and time: twelve windows or 600 answers, at most `--seconds`. Windows are drawn between 3 s and a
twelfth of `--seconds`, at most 90 s; a limit on requests in flight has no window, but the proxy says one. The truth is what the limit
allows; a client that starts with a whole window may pass it by a twelfth. The plain loop sends a refused request again after a second.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.cores import describe_machine
from benchmarks.gateways.cases import CASES, Draw, draw
from benchmarks.gateways.litellm_proxy import litellm_version
from benchmarks.gateways.rows import GatewayRow, cells, compared, table
from benchmarks.gateways.trial import run_trial

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""


async def run_trials(draws: Sequence[Draw], python: str | None, jobs: int, rows: list[GatewayRow]) -> None:
    """Run the trials, `jobs` at a time, and append their rows. SIGTERM ends them as Ctrl-C does."""
    slots, task = asyncio.Semaphore(jobs), asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    def note(row: GatewayRow) -> None:
        rows.append(row)
        print("  ".join(cells(row)), file=sys.stderr, flush=True)

    async def run_one(one: Draw) -> None:
        async with slots:
            await run_trial(one, python, note)

    async with asyncio.TaskGroup() as group:
        for one in draws:
            group.create_task(run_one(one))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", metavar="PYTHON", help="of an environment with litellm[proxy]")
    parser.add_argument("--case", nargs="+", choices=sorted(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--seed", type=int, default=0, help="draws limits, windows and refusals")
    parser.add_argument("--seconds", type=float, default=360.0, help="longest time of one client")
    parser.add_argument("--jobs", type=int, default=1, help="trials at the same time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args()
    options.case = options.case or [name for name, case in CASES.items() if options.litellm or not case.is_litellm]
    if options.litellm is None and any(CASES[name].is_litellm for name in options.case):
        parser.error("cases of the LiteLLM proxy need --litellm PYTHON")
    return options


def main() -> None:
    """Run the trials and print the table of what was measured, also after an interruption."""
    options = _options()
    server = f"LiteLLM {litellm_version(options.litellm)}" if options.litellm else ""
    draws, rows = [draw(CASES[name], options.seed, options.seconds) for name in options.case], list[GatewayRow]()
    try:
        asyncio.run(run_trials(draws, options.litellm, options.jobs, rows))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(INTERRUPTED)
    finally:
        rows.sort(key=lambda row: list(CASES).index(row.case))
        measured = [replace(row, server=server, machine=describe_machine()) for row in compared(rows)]
        print(f"{describe_machine()}; {server or 'no LiteLLM'}; seed {options.seed}\n{table(measured)}")
        if options.json:
            options.json.write_bytes(orjson.dumps(list(map(asdict, measured)), option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
