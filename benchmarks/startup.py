"""The time that `--help` takes, and whether it imports a heavy package."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

HEAVY = ("openai", "pyarrow", "aiohttp", "pydantic")
REPETITIONS = 5
_HELP = [sys.executable, "-m", "orchestrator", "--help"]
_NOTHING = [sys.executable, "-c", "pass"]
_LIST_HEAVY = f"""
import sys
from orchestrator.cli.main import group
try:
    group.main(["--help"])
except SystemExit:
    print(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""


@dataclass(frozen=True, slots=True)
class Startup:
    """The startup times and the imported heavy packages."""

    help_ms: float
    python_ms: float
    """Time of an interpreter that does nothing."""
    imported: Sequence[str]
    """The heavy packages among the imports."""
    repetitions: int = REPETITIONS


def measure_startup(environment: Mapping[str, str]) -> Startup:
    """Measure medians over fresh, alternating processes; the first of each is not counted."""
    times: list[tuple[float, float]] = [
        (_wall_ms(_HELP, environment), _wall_ms(_NOTHING, environment)) for _ in range(REPETITIONS + 1)
    ]
    help_ms, python_ms = (median(column) for column in zip(*times[1:], strict=True))
    return Startup(help_ms, python_ms, _imported(environment))


def _wall_ms(command: Sequence[str], environment: Mapping[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return 1000 * (time.perf_counter() - started)


def _imported(environment: Mapping[str, str]) -> Sequence[str]:
    command = [sys.executable, "-c", _LIST_HEAVY]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return done.stderr.decode().split()
