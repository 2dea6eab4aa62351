"""The sentence of every decision: what was seen, what is concluded, the limit with its unit."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from providers.messages import JSON
from runners.decisions.sentences import SENTENCES, sentence

GOLDEN = sorted((Path(__file__).resolve().parents[3] / "simulation" / "golden").glob("*.jsonl"))
WINDOW: dict[str, JSON] = {"window_s": 10.0, "requests": 40.0, "tokens": 1200.4, "prompt + max_tokens": None}
NOTHING: dict[str, JSON] = {"window_s": None, "requests": None, "tokens": None}
REFUSED: dict[str, JSON] = {
    "beside": 1,
    "retry_after_s": None,
    "wait_s": 0.2,
    "next_test": None,
    "tested_window_s": None,
    "refused_trials": 0,
    "accepted_before": {"1 s": {"requests": 9}, "10 s": {"requests": 40}, "60 s": {"requests": 1040}},
}
TABLE: list[tuple[str, dict[str, JSON], str]] = [
    (
        "rate",
        {
            "old": {"window_s": 10.0, "requests": 40.0},
            "new": {**WINDOW, "prompt + max_tokens": 900.0},
            "scale_s": 20.0,
            "counted_in": "prompt + max_tokens",
            "samples": 2,
        },
        "A request was accepted again. The counts at the last 2 refusals fit a limit of prompt + max_tokens best. Limit: 900 prompt "
        "+ max_tokens in 10 s (before: 40 requests in 10 s). More is asked for after 20 s without a refusal.",
    ),
    (
        "conc",
        {"old": 2.0, "new": 1.0, "probe_every_s": 9.0},
        "A request was refused with 1 other in flight: the server limits the requests in flight. Limit: 1 request in flight "
        "(before: 2); one more is tried in 9 s.",
    ),
    (
        "throttle",
        REFUSED,
        "A request was refused with 1 other request in flight, after 40 accepted in 10 s and 1,040 accepted in 60 s; the server "
        "states no wait. It is taken for a limit per second. Nothing is sent for 0.2 s, then one request tests it.",
    ),
    (
        "throttle",
        {**REFUSED, "retry_after_s": 20.0, "wait_s": 0.0, "next_test": "chance"},
        "A request was refused with 1 other request in flight, after 40 accepted in 10 s and 1,040 accepted in 60 s; the server "
        "asks to wait 20 s. Perhaps it came by chance: one request is sent at once to see.",
    ),
    (
        "throttle",
        {**REFUSED, "refused_trials": 2, "wait_s": 1.49, "tested_window_s": 3.5},
        "The request that tests whether the limit is over was refused (2 tests so far). It is taken for a limit in 3.5 s. "
        "Nothing is sent for 1.5 s, then one request tests it.",
    ),
    (
        "rate",
        {"old": NOTHING, "new": WINDOW, "samples": 1, "counted_in": None, "scale_s": 20.0},
        "A request was accepted again. So much was accepted before the refusal; whether requests or tokens are counted is not "
        "known yet. Limit: 40 requests or 1,200 tokens in 10 s (before: none). More is asked for after 20 s without a refusal.",
    ),
    (
        "rate",
        {"old": WINDOW, "new": WINDOW, "samples": 3, "counted_in": "requests", "scale_s": 20.0},
        "A request was accepted again. The counts at the last 3 refusals fit a limit of requests best. Limit: 40 requests in 10 s. "
        "More is asked for after 20 s without a refusal.",
    ),
    (
        "conc",
        {"old": 8.0, "new": 3.0, "probe_every_s": 3.0},
        "A request was refused with 3 others in flight: the server limits the requests in flight. Limit: 3 requests in flight "
        "(before: 8); one more is tried in 3 s.",
    ),
    (
        "cap",
        {"old": 8.0, "new": 16.0, "reason": "start", "mode": "start", "rho": 0.01},
        "All 8 requests in flight were in use and answered, so twice as many are tried. Limit: 16 requests in flight (before: 8).",
    ),
    (
        "end",
        {"cap": 1, "limits": WINDOW, "sent": 9, "throttled": 1, "failed": 0, "time_under": {"gate": 12.0, "cap": 0.1}},
        "At the end 1 request could be in flight. Limit: 40 requests or 1,200 tokens in 10 s. 9 requests were sent, 1 were refused, "
        "0 failed. Requests waited 12 s after refusals.",
    ),
    ("budget_reached", {"reason": "the time limit is reached"}, "the time limit is reached"),
    ("cap", {}, ""),
    ("new", {"x": 1}, ""),
]


@pytest.mark.parametrize(("event", "line", "said"), TABLE)
def test_a_decision_says_what_was_seen_and_what_is_concluded(event: str, line: dict[str, JSON], said: str) -> None:
    assert sentence(event, line) == said


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_decision_of_the_modelled_servers_has_a_sentence(path: Path) -> None:
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [line for line in lines if line["event"] in SENTENCES and not sentence(line["event"], line)] == []
