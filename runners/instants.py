"""Instants as records and messages write them."""

from __future__ import annotations

from datetime import UTC, datetime

Instant = str
"""ISO 8601, UTC, microseconds."""


def instant(seconds: float) -> Instant:
    """Convert `seconds` since the epoch to an Instant."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def instant_of(moment: datetime) -> Instant:
    """Convert a datetime with a time zone to an Instant."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
