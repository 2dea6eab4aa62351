"""Exit codes: which of several reasons counts, and what is said."""

from __future__ import annotations

import pytest

from orchestrator.execution.history.outcome import INTERRUPTED, ExitCode, RunOutcome, count_pending, outcome_of
from orchestrator.results.run_directory.directory import Manifest
from runners.dispatch.dispatcher import NoUsableInstance
from runners.event_loop.shutdown import Shutdown
from runners.samples.bitmap import Bitmap
from runners.samples.monitor import Monitor

MANIFEST = Manifest("r", {}, "/", "parquet", 4, "f", {})
LOST = [NoUsableInstance("no usable instance left for m: sim/m: revoked (401)")]


def bits(*ordinals: int) -> Bitmap:
    bitmap = Bitmap(4)
    for ordinal in ordinals:
        bitmap.add(ordinal)
    return bitmap


def run_outcome(
    done: int, *, reason: str = "", lost: list[NoUsableInstance] | None = None, asked: Bitmap | None = None
) -> RunOutcome:
    still_open = count_pending(bits(*range(done)), asked)
    shutdown = Shutdown()
    if reason:
        shutdown.reason = reason
        shutdown.draining.set()
    return outcome_of(MANIFEST, still_open, Monitor(4, 0, {}).statistics(), shutdown, lost or [])


@pytest.mark.parametrize(
    ("found", "code", "says"),
    [
        (run_outcome(4), 0, "every sample has its record"),
        (run_outcome(4, reason=INTERRUPTED), 0, "every sample has its record"),
        (run_outcome(4, lost=LOST), 0, "every sample has its record"),
        (run_outcome(3), 1, "done; 1 samples have no final outcome"),
        (run_outcome(3, reason="the cost limit is reached"), 3, "the cost limit is reached"),
        (run_outcome(3, reason="your own code failed: x"), 3, "your own code failed: x"),
        (run_outcome(3, lost=LOST), 4, "no usable instance left for m: sim/m: revoked (401)"),
        (run_outcome(0, reason=INTERRUPTED, lost=LOST), 4, "no usable instance left"),
        (run_outcome(3, reason=INTERRUPTED), 130, "interrupted"),
        (
            run_outcome(2, asked=bits(0, 1)),
            3,
            "every infrastructure failure has its record now; 2 others are pending: resume",
        ),
        (run_outcome(2, asked=bits(1, 2)), 1, "done; 1 samples have no final outcome (); 1 others are pending: resume"),
        (run_outcome(4, asked=bits(1, 2)), 0, "every sample has its record"),
    ],
)
def test_the_exit_code_says_why_a_run_ended(found: RunOutcome, code: int, says: str) -> None:
    assert int(found.exit_code) == code
    assert found.reason.startswith(says)
    assert found.is_complete is (code == 0)


def test_the_codes_are_those_that_scripts_rely_on() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0, "DONE_WITH_FAILURES": 1, "USAGE": 2, "STOPPED": 3, "NO_INSTANCE": 4, "INTERRUPTED": 130,
    }  # fmt: skip


def test_an_ending_is_noted_as_one_flat_row() -> None:
    ended = run_outcome(3)
    assert ended.as_row() == {
        "exit_code": 1,
        "reason": ended.reason,
        "final": 3,
        "total": 4,
        "spent_tokens": 0,
        "spent_usd": 0.0,
        "presumed_tokens": 0,
        "presumed_usd": 0.0,
        "unanswered": 0,
        "retries_refused": 0,
        "possibly_billed_twice": 0,
        "damaged_lines": 0,
        "elapsed_s": ended.statistics.elapsed_s,
        "refusals": [],
        "refused": [],
        "drifts": [],
        "drift_checked": False,
        "rehearsed_s": None,
    }
