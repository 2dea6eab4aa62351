"""A batch against modelled endpoints, and what must be known of them to judge a run."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .requests import Request, chat
from .servers import Server, latency_of
from .timeline import Timeline

Build = Callable[[Timeline, random.Random], Sequence[Server]]
LATENCY = latency_of()


@dataclass(frozen=True, slots=True)
class Rise:
    """A rise of the limit during the run: its time, the rate from then on in requests per second, and the span that measures its use."""

    at: float
    rate: float
    span_s: float
    window_s: float
    """The length of the window; a minute for a bucket."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A batch against endpoints: the requests, the servers, the ideal time, and the true rate in requests per second."""

    build: Build
    ideal_s: Callable[[Sequence[Request]], float]
    rate: float
    ask: Callable[[int, random.Random], list[Request]] = chat
    latency: Callable[[Request], float] = LATENCY
    n: int | None = None
    """A fixed batch size, whatever the command line requests."""
    most: int | None = None
    """The user's bound on requests in flight at each instance."""
    is_one_model: bool = False
    """Whether the instances serve one model, so that a shared quota is looked for."""
    rise: Rise | None = None
    seconds: float | None = None
    """The length of a run, which then ends before its batch; efficiency is what was answered as a share of `rate`."""
    truth: str = ""
    """What the server does, in words."""
