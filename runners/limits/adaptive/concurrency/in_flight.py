"""The requests in flight: when each was sent, how many others were in flight then, and which can be taken as accepted.

A refusal arrives within a round trip, an answer takes seconds: a request with no refusal for longer than a refusal takes was accepted. A
refused request was counted as in flight for the requests sent after it, although the server never processed it: this is corrected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ...refusal_delay import RefusalDelay
from ..ledger import TOKENS, Amounts, LedgerEntry

PEAK_MEMORY_S = 60.0


class InFlightRequest:
    """A request that was sent and has not ended."""

    __slots__ = ("amounts", "beside", "entry", "is_over", "load", "number", "sent_at", "spent")

    def __init__(self, number: int, amounts: Amounts, entry: LedgerEntry, beside: int, now: float) -> None:
        self.number = number
        self.amounts = amounts
        self.entry = entry
        self.beside = beside
        """Number of other requests in flight when this one was sent."""
        self.sent_at = now
        self.spent = (0.0, 0.0)
        """Totals of requests and of prompt + max_tokens up to this request: the base of the remaining-quota gate."""
        self.is_over = False
        self.load: float | None = None
        """Requests accepted in the last second when this one was sent, where refusals seem to come by chance."""


class RecentMaximum:
    """The highest value of the last minute, kept as a decreasing sequence."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int]] = deque()

    def add(self, value: int, now: float) -> None:
        """Add a value."""
        steps = self._steps
        while steps and steps[-1][1] <= value:
            steps.pop()
        steps.append((now, value))

    def highest(self, now: float) -> int:
        """Return the highest value of the last minute; -1 if there is none."""
        steps = self._steps
        while steps and steps[0][0] <= now - PEAK_MEMORY_S:
            steps.popleft()
        return steps[0][1] if steps else -1


class InFlightRequests:
    """The requests in flight of one limiter group."""

    def __init__(self) -> None:
        self.delay = RefusalDelay()
        self.accepted_beside = RecentMaximum()
        self._open: dict[int, InFlightRequest] = {}
        self._unsure: deque[InFlightRequest] = deque()
        """Not yet known to be accepted, in the order of sending."""
        self.count = 0
        """Number of requests in flight."""
        self.sent = 0
        """Number of requests sent so far."""

    def send(self, amounts: Amounts, entry: LedgerEntry, now: float) -> InFlightRequest:
        """Add a request that is sent now."""
        self.confirm(now)
        request = InFlightRequest(self.sent, amounts, entry, self.count, now)
        self._open[request.number] = request
        self._unsure.append(request)
        self.sent += 1
        self.count += 1
        return request

    def end(self, number: int) -> InFlightRequest:
        """Remove a request that has ended. Raises KeyError if it was settled before, which is a bug of the caller."""
        request = self._open.pop(number)
        self.count -= 1
        request.is_over = True
        return request

    def was_accepted(self, number: int, now: float) -> bool:
        """Return whether a request is in flight for longer than a refusal takes."""
        request = self._open.get(number)
        return request is not None and now >= request.sent_at + self.delay.patience_s

    def tokens(self) -> float:
        """Return the estimated tokens of all requests in flight."""
        return sum(request.amounts[TOKENS] for request in self._open.values())

    def confirm(self, now: float) -> None:
        """Mark as accepted the requests that were sent longer ago than a refusal takes."""
        unsure, horizon = self._unsure, now - self.delay.patience_s
        while unsure and (unsure[0].sent_at < horizon or unsure[0].is_over):
            self.accepted_beside.add(unsure.popleft().beside, now)

    def refuse(self, request: InFlightRequest) -> None:
        """Correct the counts after a refusal: the requests sent after this one had one fewer in flight."""
        for later in self.sent_after(request):
            later.beside -= 1
        if request in self._unsure:
            self._unsure.remove(request)

    def sent_after(self, request: InFlightRequest) -> Iterator[InFlightRequest]:
        """Yield the unconfirmed requests that were sent after this one, newest first."""
        for later in reversed(self._unsure):
            if later.number <= request.number:
                return
            yield later
