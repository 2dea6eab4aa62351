"""What the run decided, read back from decisions.jsonl: in words, on the time axis, and the time that each gate took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

Line = Mapping[str, Any]
MOST_KEPT = 4_000
"""Of a run that decided more, the first of them; all of them stand in decisions.jsonl."""
HEALTH = ("health", "instance_lost")
END = "end"


@dataclass(frozen=True, slots=True)
class Decision:
    at: float
    """Seconds since the epoch."""
    instance: str
    event: str
    words: str
    state: str
    """The instance's health from now on; empty where this says nothing of it."""


@dataclass(frozen=True, slots=True)
class GateTimes:
    """What the instances' last words add up to, over all executions."""

    sent: Mapping[str, int]
    """Requests by instance; without those whose limiter does not count (fixed mode)."""
    refused: Mapping[str, int]
    time_under_s: Mapping[str, Mapping[str, float]]
    """By instance and gate; the gates of an instance add up to the time that it was in use."""


@dataclass(frozen=True, slots=True)
class Decisions:
    total: int
    kept: tuple[Decision, ...]
    states: Mapping[str, str]
    """The last that was said of an instance's health, with the evidence."""
    ledger: GateTimes


def read_decisions(path: Path) -> Decisions:
    """Line by line; one that a crash cut off is left out."""
    total, kept, states = 0, list[Decision](), dict[str, str]()
    sent, refused, gates = Counter[str](), Counter[str](), dict[str, Counter[str]]()
    for line in _lines(path):
        total += 1
        instance = str(line["instance"])
        if line["event"] in HEALTH:
            states[instance] = _health(line)
        if line["event"] == END:
            if "sent" in line:
                sent[instance] += int(line["sent"])
                refused[instance] += int(line.get("throttled", 0))
            gates.setdefault(instance, Counter()).update(line.get("time_under", {}))
        if len(kept) < MOST_KEPT or line["event"] in HEALTH:
            kept.append(_decision(line))
    return Decisions(
        total, tuple(kept), states, GateTimes(sent, refused, {name: one for name, one in gates.items() if one})
    )


def _lines(path: Path) -> Iterator[Line]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                found = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(found, dict) and {"at", "instance", "event"} <= found.keys():
                yield found


def _decision(line: Line) -> Decision:
    event = str(line["event"])
    state = str(line.get("state", "")) if event in HEALTH else ""
    return Decision(float(line["at"]), str(line["instance"]), event, _in_words(event, line), state)


def _in_words(event: str, line: Line) -> str:
    try:
        return WORDS[event](line)
    except (KeyError, TypeError, ValueError):  # another version's line: shown as it is
        evidence = {name: value for name, value in line.items() if name not in {"at", "instance", "event"}}
        return orjson.dumps(evidence).decode()


def _health(line: Line) -> str:
    return f"{line.get('state', '')}: {line['evidence']}" if line.get("evidence") else str(line.get("state", ""))


def _limits(limits: Mapping[str, Any]) -> str:
    known = [f"{value:g} {name}" for name, value in limits.items() if value is not None and name != "window_s"]
    window = f" in {limits['window_s']:g} s" if limits.get("window_s") else ""
    return (", ".join(known) or "no limit") + window


WORDS: Mapping[str, Callable[[Line], str]] = {
    "cap": lambda line: f"{line['old']:g} → {line['new']:g} in flight ({line['mode']})",
    "knee": lambda line: f"more in flight brings no more throughput: {line['old']:g} → {line['new']:g}",
    "conc": lambda line: f"refused for its concurrency: {line['old']:g} → {line['new']:g} in flight",
    "throttle": lambda line: f"refused with {line['beside']} beside it; waits {line['wait_s']:.1f} s",
    "rate": lambda line: f"learnt: {_limits(line['new'])}",
    "breaker": lambda line: f"{line['failures']} failures in a row; waits {line['wait_s']:.1f} s",
    "tilt": lambda line: (
        f"asks for {line['share']:.0%} of what is known for {line['for_s']:.0f} s, to tell one quota from several"
    ),
    "quota_shared": lambda line: str(line["evidence"]),
    "health": _health,
    "instance_lost": _health,
    "end": lambda line: f"ended at {line['cap']} in flight" + (f", {line['sent']} sent" if "sent" in line else ""),
}


def lanes(decisions: Sequence[Decision]) -> dict[str, list[Decision]]:
    """By instance, in the order of their names."""
    found: dict[str, list[Decision]] = {name: [] for name in sorted({one.instance for one in decisions})}
    for one in decisions:
        found[one.instance].append(one)
    return found
