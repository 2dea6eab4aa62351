"""The live display: a table with a row per instance on a terminal, plain lines elsewhere. It reads the monitor only."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runners.samples.monitor import InstanceStatistics, Monitor, RunStatistics

from .terminal import printable

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

FULL_EVERY_S = 0.25
PLAIN_EVERY_S = 5.0


@contextmanager
def shown(monitor: Monitor, display: str | None) -> Iterator[None]:
    """Show the monitor while the block runs. `display` is full, plain or none; None selects full on a terminal, else plain."""
    with show(display, lambda: plain_line(monitor.statistics()), lambda: _table(monitor.statistics())):
        yield


@contextmanager
def show(display: str | None, line: Callable[[], str], table: Callable[[], RenderableType]) -> Iterator[None]:
    """Refresh `table` on a terminal, or print `line` periodically elsewhere; neither where `display` is none."""
    chosen = display or ("full" if sys.stderr.isatty() else "plain")
    if chosen == "none":
        yield
    elif chosen == "plain":
        with _ticking(lambda: print_line(line()), PLAIN_EVERY_S):
            yield
    else:
        with _live(table):
            yield


def plain_line(now: RunStatistics) -> str:
    """Format progress, rate, remaining time and problems as one line."""
    parts = [
        f"{now.done}/{now.total}",
        f"{now.samples_per_s:.1f}/s",
        f"{sum(i.in_flight for i in now.instances)} in flight",
    ]
    is_moving = not now.instances or any(i.state in {"healthy", "throttled"} for i in now.instances)
    if is_moving and now.samples_per_s > 0 and now.done < now.total:
        parts.append(f"{_clock((now.total - now.done) / now.samples_per_s)} left")
    parts += [f"{count} {outcome}" for outcome, count in sorted(now.outcomes.items()) if outcome != "ok"]
    throttled = sum(i.throttled for i in now.instances)
    parts += [f"{throttled} throttled"] if throttled else []
    parts += [f"{now.cached} from the cache"] if now.cached else []
    parts += [str(share) for share in now.shares]
    parts += [f"{i.instance} {i.state}" for i in now.instances if i.state not in {"healthy", "throttled"}]
    parts += [client_bound(now)] if now.is_client_bound else []
    return printable(" · ".join(parts))


def client_bound(now: RunStatistics) -> str:
    """Describe that the client itself is the bottleneck, so that latencies say less about the server."""
    return f"client-bound (loop {1000 * now.lag_s:.0f} ms late, {100 * now.cpu_share:.0f} % of a core)"


@contextmanager
def _live(table: Callable[[], RenderableType]) -> Iterator[None]:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    live = Live(table(), console=console, auto_refresh=False, transient=True)
    with live, _ticking(lambda: live.update(table(), refresh=True), FULL_EVERY_S):
        yield


@contextmanager
def _ticking(show: Callable[[], object], every_s: float) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handle: asyncio.TimerHandle | None = None

    def tick() -> None:
        nonlocal handle
        show()
        handle = loop.call_later(every_s, tick)

    handle = loop.call_later(every_s, tick)
    try:
        yield
    finally:
        handle.cancel()


def _table(now: RunStatistics) -> Group:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("instance", no_wrap=True)
    for name in ("state", "in flight", "done", "throttled", "failed", "tokens", "mean s"):
        table.add_column(name, justify="left" if name == "state" else "right")
    for instance in now.instances:
        table.add_row(*(Text(cell) for cell in _cells(instance)))
    return Group(table, ProgressBar(total=max(now.total, 1), completed=now.done, width=60), Text(plain_line(now)))


def _cells(row: InstanceStatistics) -> list[str]:
    latency = "" if row.mean_latency_s is None else f"{row.mean_latency_s:.2f}"
    counts = [str(n) for n in (row.in_flight, row.succeeded, row.throttled, row.failed)]
    return [printable(row.instance), row.state, *counts, f"{row.tokens:,}", latency]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def print_line(line: str) -> None:
    """Print a line on standard error."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
