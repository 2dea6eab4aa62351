"""Pin client and server to one core each, where the machine has two and allows it, and describe the machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

SERVER_CORE = 0
CLIENT_CORE = 1


def pin(core: int) -> None:
    """Keep this process and its threads on one core."""
    if hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


def describe_machine() -> str:
    """Describe processor, operating system and Python in one line."""
    return f"{os.cpu_count()} × {_processor()}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
