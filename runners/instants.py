"""Instants as records and messages write them."""

from __future__ import annotations

from datetime import UTC, datetime

Instant = str
"""ISO 8601, UTC, microseconds."""


def instant(seconds: float) -> Instant:
    """`seconds` since the epoch as an Instant."""
    return instant_of(datetime.fromtimestamp(seconds, UTC))


def instant_of(moment: datetime) -> Instant:
    """A moment that knows its zone as an Instant."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
