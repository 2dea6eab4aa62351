"""What is in flight: who was sent when, beside how many others, and who of them can be taken as accepted.

A refusal comes back within a round trip, an answer takes seconds: silence for longer than any refusal takes is an accept. Until a
refusal is known its request was counted as in flight beside those sent after it, though the server never had it: that is put right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ..ledger import TOKENS, Amounts, LedgerEntry

FIRST_DELAY_S = 0.5
"""What a refusal is reckoned to take before one was seen: silence is taken as an accept after three times that."""
PEAK_MEMORY_S = 60.0


class InFlightRequest:
    __slots__ = ("amounts", "beside", "entry", "is_over", "number", "sent_at", "spent")

    def __init__(self, number: int, amounts: Amounts, entry: LedgerEntry, beside: int, now: float) -> None:
        self.number = number
        self.amounts = amounts
        self.entry = entry
        self.beside = beside
        """Others at the server when this was sent."""
        self.sent_at = now
        self.spent = (0.0, 0.0)
        """Requests and prompt + max_tokens ever sent, this one included: where the header brake counts from."""
        self.is_over = False


class RefusalDelay:
    """How long a refusal takes to come back: mean and mean deviation, as TCP estimates its round trip (RFC 6298)."""

    def __init__(self) -> None:
        self.mean_s = FIRST_DELAY_S
        self._deviation_s = FIRST_DELAY_S / 2
        self._seen = False

    def learn(self, delay_s: float) -> None:
        if not self._seen:
            self._seen, self.mean_s, self._deviation_s = True, delay_s, delay_s / 2
            return
        self._deviation_s += 0.25 * (abs(delay_s - self.mean_s) - self._deviation_s)
        self.mean_s += 0.125 * (delay_s - self.mean_s)

    @property
    def patience_s(self) -> float:
        """Silence for so long is an accept."""
        return max(1.5 * self.mean_s, self.mean_s + 4 * self._deviation_s) + 0.02


class RecentMaximum:
    """The highest value of the last minute, as a falling sequence."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int]] = deque()

    def add(self, value: int, now: float) -> None:
        steps = self._steps
        while steps and steps[-1][1] <= value:
            steps.pop()
        steps.append((now, value))

    def highest(self, now: float) -> int:
        """Minus one where nothing was seen."""
        steps = self._steps
        while steps and steps[0][0] <= now - PEAK_MEMORY_S:
            steps.popleft()
        return steps[0][1] if steps else -1


class InFlightRequests:
    def __init__(self) -> None:
        self.delay = RefusalDelay()
        self.accepted_beside = RecentMaximum()
        self._open: dict[int, InFlightRequest] = {}
        self._unsure: deque[InFlightRequest] = deque()
        """Not yet known to be accepted, in the order of sending."""
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._open)

    @property
    def sent(self) -> int:
        """Ever."""
        return self._numbers

    def send(self, amounts: Amounts, entry: LedgerEntry, now: float) -> InFlightRequest:
        self.confirm(now)
        flight = InFlightRequest(self._numbers, amounts, entry, len(self._open), now)
        self._open[flight.number] = flight
        self._unsure.append(flight)
        self._numbers += 1
        return flight

    def end(self, number: int) -> InFlightRequest:
        """Raises KeyError for a ticket that was settled before: a bug of the caller."""
        flight = self._open.pop(number)
        flight.is_over = True
        return flight

    def tokens(self) -> float:
        """That will be counted when what is in flight is answered, as far as one knows."""
        return sum(flight.amounts[TOKENS] for flight in self._open.values())

    def confirm(self, now: float) -> None:
        """Take as accepted whoever was sent longer ago than a refusal takes."""
        unsure, horizon = self._unsure, now - self.delay.patience_s
        while unsure and (unsure[0].sent_at < horizon or unsure[0].is_over):
            self.accepted_beside.add(unsure.popleft().beside, now)

    def refuse(self, flight: InFlightRequest) -> None:
        """It never was at the server: those sent after it had one less beside them."""
        for later in self.sent_after(flight):
            later.beside -= 1
        if flight in self._unsure:
            self._unsure.remove(flight)

    def sent_after(self, flight: InFlightRequest) -> Iterator[InFlightRequest]:
        for later in reversed(self._unsure):
            if later.number <= flight.number:
                return
            yield later
