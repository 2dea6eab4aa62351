"""`python -m orchestrator …` under a watch: `python -m benchmarks.crash_matrix.launcher WATCH COMMAND …`.

WATCH is a JSON object: `{"operation", "when", "number"}` to end at that operation, `{"record": FILE}` to write down every operation.
"""

from __future__ import annotations

import atexit
import sys
from pathlib import Path

import orjson

from orchestrator.cli.main import main

from .watched import Watch, watch_system


def launch(arguments: list[str]) -> None:
    told, *command = arguments
    wanted = orjson.loads(told)
    record = wanted.pop("record", None)
    watch = Watch(**wanted)
    if record is not None:
        atexit.register(lambda: Path(record).write_bytes(orjson.dumps(dict(watch.seen))))
    watch_system(watch)
    sys.argv[1:] = command
    main()


if __name__ == "__main__":
    launch(sys.argv[1:])
