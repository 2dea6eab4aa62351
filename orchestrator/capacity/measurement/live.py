"""The live display of a load test: a table on a terminal, a text line at intervals elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runners.load.request_result import RequestResult
from runners.load.run_load import LoadGenerator

from ...results.stats.percentiles import percentile
from ...ui.progress import show
from .server_metrics import ServerWatch

if TYPE_CHECKING:
    from rich.table import Table

RECENT_S = 10.0
RECENT = 2_000
"""Number of latencies that the running percentiles cover."""


@dataclass(slots=True)
class LoadMonitor:
    """Counts and rates of the requests that have ended so far. It reads the load generator and changes nothing."""

    server: ServerWatch
    expected: int | None
    load_generator: LoadGenerator | None = None
    began_at: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    _ended: deque[float] = field(default_factory=deque)
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _first_tokens: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def start(self, load_generator: LoadGenerator) -> None:
        """Take the load generator and note the start time."""
        self.load_generator, self.began_at = load_generator, asyncio.get_running_loop().time()

    def take(self, result: RequestResult) -> None:
        """Count one request that has ended."""
        self.counts[result.how] += 1
        if result.how != "ok":
            return
        self._ended.append(result.ended_at)
        if result.latency_s is not None:
            self._latencies.append(result.latency_s)
        if result.timing is not None and result.timing.ttft_s is not None:
            self._first_tokens.append(result.timing.ttft_s)

    def rows(self) -> list[tuple[str, str]]:
        """Return the names and figures to show now."""
        now, done = asyncio.get_running_loop().time(), self.counts.total()
        elapsed_s = max(now - self.began_at, 1e-9) if self.load_generator else 1e-9
        while self._ended and self._ended[0] < now - RECENT_S:
            self._ended.popleft()
        ok = self.counts["ok"]
        rows = [
            ("elapsed", f"{elapsed_s:.0f} s"),
            ("done", f"{done}" if self.expected is None else f"{done}/{self.expected}"),
            ("in flight", str(self.load_generator.in_flight if self.load_generator else 0)),
            ("requests/s", f"{len(self._ended) / min(elapsed_s, RECENT_S):.1f}"),
            ("success", f"{100 * ok / done:.1f} %" if done else "n/a"),
            ("mean", _mean(self._latencies)),
            ("p50", _percentile(self._latencies, 50)),
            ("p99", _percentile(self._latencies, 99)),
            ("TTFT p50", _percentile(self._first_tokens, 50)),
        ]
        rows += [(how, str(count)) for how, count in sorted(self.counts.items()) if how != "ok"]
        return rows + self._server_rows()

    def _server_rows(self) -> list[tuple[str, str]]:
        latest = self.server.latest
        if latest is None:
            return []
        named = (("server running", latest.running), ("server waiting", latest.waiting))
        rows = [(name, f"{value:g}") for name, value in named if value is not None]
        return rows + ([("cache", f"{latest.cache_use:.0%}")] if latest.cache_use is not None else [])


@contextmanager
def shown(monitor: LoadMonitor, display: str | None) -> Iterator[None]:
    """Show `monitor` while the block runs: full, plain or none; None chooses by the terminal."""
    with show(display, lambda: _line(monitor), lambda: _table(monitor)):
        yield


def _line(monitor: LoadMonitor) -> str:
    return " · ".join(f"{name} {figure}" for name, figure in monitor.rows())


def _table(monitor: LoadMonitor) -> Table:
    from rich.table import Table
    from rich.text import Text

    rows = monitor.rows()
    table = Table(box=None, pad_edge=False)
    for name, _figure in rows:
        table.add_column(name, justify="right")
    table.add_row(*(Text(figure) for _name, figure in rows))
    return table


def _mean(values: deque[float]) -> str:
    return f"{sum(values) / len(values):.2f} s" if values else "n/a"


def _percentile(values: deque[float], q: float) -> str:
    return f"{percentile(sorted(values), q):.2f} s" if values else "n/a"
