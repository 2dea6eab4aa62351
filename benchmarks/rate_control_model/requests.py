"""The requests: prompts and answers of heavy-tailed length, and the even batch that was measured on an endpoint that delays requests."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """The tokens of a request, and its own factor on the latency."""

    prompt: int
    output: int
    most_output: int
    factor: float

    @property
    def used(self) -> int:
        """Tokens that it uses."""
        return self.prompt + self.output

    @property
    def ceiling(self) -> int:
        """Tokens that it may use at most."""
        return self.prompt + self.most_output


def chat(n: int, draw: random.Random) -> list[Request]:
    """Generate log-normal prompts (median 220) and outputs (median 120, cut at 512); times vary by 15 %."""
    return [
        Request(
            max(20, int(draw.lognormvariate(math.log(220), 0.5))),
            max(4, min(512, int(draw.lognormvariate(math.log(120), 0.8)))),
            512,
            draw.lognormvariate(0, 0.15),
        )
        for _ in range(n)
    ]


def even(n: int, draw: random.Random) -> list[Request]:
    """Generate requests of about 543 tokens each; times vary by 8 %."""
    return [
        Request(int(draw.gauss(300, 25)), max(60, int(draw.gauss(243, 40))), 400, draw.lognormvariate(0, 0.08))
        for _ in range(n)
    ]


def short(n: int, draw: random.Random) -> list[Request]:
    """Generate log-normal prompts (median 18) and outputs (median 8), cut at 64; times vary by 15 %."""
    return [
        Request(
            max(8, int(draw.lognormvariate(math.log(18), 0.3))),
            max(1, min(64, int(draw.lognormvariate(math.log(8), 0.5)))),
            64,
            draw.lognormvariate(0, 0.15),
        )
        for _ in range(n)
    ]
