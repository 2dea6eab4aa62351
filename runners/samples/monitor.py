"""Live statistics of a run: progress, the state of each instance, and whether this client is the bottleneck."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from providers.messages import JSON

from ..calls.budget import BudgetShare
from ..dispatch.dispatcher import Dispatcher
from ..dispatch.instance_state import InstanceState
from .record import Record

LAG_EVERY_S = 0.1
LAG_BOUND_S = 0.05
"""An event loop with more lag than this, or a busier core, adds to every measured latency."""
CPU_BOUND = 0.9
FADE = 0.9


class LoopLag:
    """The lag of the event loop and the share of a core that this process uses; both decay over about a second."""

    def __init__(self) -> None:
        self.lag_s = 0.0
        self.cpu_share = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start to measure, in the running loop."""
        self._due = asyncio.get_running_loop().time() + LAG_EVERY_S
        self._last = (time.monotonic(), time.process_time())
        self._handle = asyncio.get_running_loop().call_at(self._due, self._sample)

    def stop(self) -> None:
        """Stop measuring."""
        if self._handle is not None:
            self._handle.cancel()

    @property
    def is_client_bound(self) -> bool:
        """Whether this client is the bottleneck."""
        return self.lag_s > LAG_BOUND_S or self.cpu_share > CPU_BOUND

    def _sample(self) -> None:
        late = asyncio.get_running_loop().time() - self._due
        now = (time.monotonic(), time.process_time())
        share = (now[1] - self._last[1]) / max(now[0] - self._last[0], 1e-9)
        self.lag_s = max(late, FADE * self.lag_s)
        self.cpu_share = FADE * self.cpu_share + (1 - FADE) * share
        self.stop()
        self.start()


@dataclass(frozen=True, slots=True)
class InstanceStatistics:
    """The state and the counters of one instance."""

    instance: str
    model: str
    state: str
    in_flight: int
    succeeded: int
    throttled: int
    failed: int
    tokens: int
    mean_latency_s: float | None
    evidence: str
    """Why it gets no work; empty while it is healthy."""


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """The progress of a run at one moment."""

    total: int
    done: int
    """Durable records of this execution and of earlier ones."""
    outcomes: Mapping[str, int]
    elapsed_s: float
    samples_per_s: float
    """Mean over this execution."""
    instances: tuple[InstanceStatistics, ...]
    lag_s: float
    cpu_share: float
    is_client_bound: bool
    shares: tuple[BudgetShare, ...] = ()
    """What is spent of each budget limit."""
    cached: int = 0
    """Samples of this execution that were answered from the cache."""
    saved_usd: float = 0.0
    """What the answers from the cache would have cost, as far as prices are known."""


class Monitor:
    """The live statistics of a run. It counts a record when it is durable, never before."""

    def __init__(
        self,
        total: int,
        already_done: int,
        dispatchers: Mapping[str, Dispatcher],
        shares: Callable[[], Sequence[BudgetShare]] = tuple,
    ) -> None:
        self.lag = LoopLag()
        self._total = total
        self._before = already_done
        self._outcomes: Counter[str] = Counter()
        self._cached = 0
        self._saved_usd = 0.0
        self._dispatchers = dispatchers
        self._shares = shares
        self._since = self._counted_at = time.monotonic()

    def __enter__(self) -> Monitor:
        self.lag.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.lag.stop()

    @contextmanager
    def stall_watch(self, after_s: float, on_stall: Callable[[Mapping[str, JSON]], None]) -> Iterator[None]:
        """Call `on_stall` whenever `after_s` have passed without a durable record."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None

        def check() -> None:
            nonlocal timer
            idle_s = time.monotonic() - self._counted_at
            if idle_s >= after_s:
                in_flight = sum(instance.in_flight for instance in self.statistics().instances)
                on_stall({"idle_s": idle_s, "in_flight": in_flight})
                self._counted_at += idle_s
            timer = loop.call_later(max(0.0, after_s - (time.monotonic() - self._counted_at)), check)

        check()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()

    def count(self, record: Record) -> None:
        """Count a durable record."""
        self._outcomes[record.outcome] += 1
        if record.saved_usd is not None:
            self._saved_usd += record.saved_usd
        self._cached += record.cache_hit
        self._counted_at = time.monotonic()

    def statistics(self) -> RunStatistics:
        """Return the statistics of this moment."""
        elapsed_s = time.monotonic() - self._since
        counted = self._outcomes.total()
        return RunStatistics(
            total=self._total,
            done=self._before + counted,
            outcomes=dict(self._outcomes),
            elapsed_s=elapsed_s,
            samples_per_s=counted / elapsed_s if elapsed_s > 0 else 0.0,
            instances=tuple(_statistics(s) for d in self._dispatchers.values() for s in d.instance_states.values()),
            lag_s=self.lag.lag_s,
            cpu_share=self.lag.cpu_share,
            is_client_bound=self.lag.is_client_bound,
            shares=tuple(self._shares()),
            cached=self._cached,
            saved_usd=self._saved_usd,
        )


def _statistics(instance_state: InstanceState) -> InstanceStatistics:
    counters, now = instance_state.counters, asyncio.get_running_loop().time()
    is_shut = instance_state.is_usable() and instance_state.limiter.shut_until(now) > now
    return InstanceStatistics(
        instance=instance_state.instance.name,
        model=instance_state.instance.model,
        state="throttled"
        if is_shut and instance_state.health_tracker.is_healthy
        else instance_state.health.state.value,
        in_flight=counters.in_flight,
        succeeded=counters.succeeded,
        throttled=counters.throttled,
        failed=counters.failed,
        tokens=counters.tokens,
        mean_latency_s=counters.latency_s / counters.succeeded if counters.succeeded else None,
        evidence=instance_state.health.evidence,
    )
