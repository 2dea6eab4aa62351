"""Run `python -m orchestrator …` with watched file operations: `python -m benchmarks.crash_matrix.launcher WATCH COMMAND …`.

WATCH is a JSON object: `{"operation", "when", "number"}` ends the process at that operation, `{"record": FILE}` records all operations.
"""

from __future__ import annotations

import atexit
import sys
from pathlib import Path

import orjson

from orchestrator.cli.main import main

from .watched import Watch, watch_system


def launch(arguments: list[str]) -> None:
    """Run the command under the watch that the first argument describes."""
    watch_json, *command = arguments
    watch_options = orjson.loads(watch_json)
    record = watch_options.pop("record", None)
    watch = Watch(**watch_options)
    if record is not None:
        atexit.register(lambda: Path(record).write_bytes(orjson.dumps(dict(watch.seen))))
    watch_system(watch)
    sys.argv[1:] = command
    main()


if __name__ == "__main__":
    launch(sys.argv[1:])
