"""Run `python -m orchestrator …` and count its asyncio tasks: `python -m benchmarks.soak.counted FILE SECONDS COMMAND …`.

A thread writes the number of unfinished tasks to FILE every SECONDS; everything else about a process can be read from outside.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from pathlib import Path

from orchestrator.cli.main import main


def count_tasks(file: Path, every_s: float) -> None:
    """Write the number of tasks of this process's event loop to `file`, for ever."""
    loop = None
    while True:
        time.sleep(every_s)
        loop = loop or next((item for item in gc.get_objects() if isinstance(item, asyncio.AbstractEventLoop)), None)
        if loop is not None:
            file.write_text(str(len(asyncio.all_tasks(loop))))


if __name__ == "__main__":
    name, seconds, *command = sys.argv[1:]
    threading.Thread(target=count_tasks, args=(Path(name), float(seconds)), daemon=True).start()
    sys.argv[1:] = command
    main()
