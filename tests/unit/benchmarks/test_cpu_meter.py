"""The server reads the CPU clock of a client's process at two of its requests."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.client_cost.cpu_meter import CpuMeter, cpu_s


def test_the_clock_of_a_process_is_its_cpu_time_at_least() -> None:
    before = time.process_time()
    assert cpu_s(os.getpid()) >= before


def test_children_count_while_they_live() -> None:
    command = [sys.executable, "-c", "sum(range(3_000_000)); print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert cpu_s(os.getpid()) >= time.process_time() + cpu_s(child.pid) * 0.9
        child.communicate(b"\n")


def test_the_clocks_are_read_at_the_counted_requests_only() -> None:
    meter = CpuMeter()
    meter.answer(f"/meter/{os.getpid()}/2/4")
    counts = []
    for _ in range(6):
        meter.count()
        counts.append(len(meter.readings))
    assert counts == [0, 1, 1, 2, 2, 2]
    meter.answer(f"/meter/{os.getpid()}/1/2")
    assert meter.readings == []
