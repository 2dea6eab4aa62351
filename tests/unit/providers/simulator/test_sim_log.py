"""The log of the truth: whole lines, and no reason to end a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson

from providers.simulator.log import AnswerLog, AnswerLogEntry


async def test_a_line_that_a_crash_cut_off_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"request_id": "s0/')
    log = AnswerLog(path)
    log.write(AnswerLogEntry("s1/1/1", "m", None))
    log.close()
    assert [orjson.loads(line)["request_id"] for line in path.read_bytes().splitlines()[1:]] == ["s1/1/1"]


FULL = """
import asyncio, resource, sys
from pathlib import Path
from providers.simulator.log import AnswerLog, AnswerLogEntry

async def main():
    log = AnswerLog(Path(sys.argv[1]))
    for _ in range(2):
        log.write(AnswerLogEntry("s1/1/1", "m", None))
        log.flush()
    log.close()

resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
asyncio.run(main())
"""


def test_a_full_disk_costs_the_log_and_is_said_once(tmp_path: Path) -> None:
    """In a process of its own: what a person sees is standard error."""
    command = [sys.executable, "-c", FULL, str(tmp_path / "log.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stderr == f"cannot write {tmp_path}/log.jsonl: File too large; later answers are not logged\n"
