"""Run `python -m orchestrator …` on a failing disk: `python -m benchmarks.storage_faults.launcher DISK COMMAND …`.

DISK is a JSON object with the fields of FailingDisk, and `record`: the file that gets the list of all calls.
"""

from __future__ import annotations

import atexit
import os
import sys

import orjson

from orchestrator.cli.main import main

from .failing import FailingDisk


def launch(arguments: list[str]) -> None:
    """Run the command on the disk that the first argument describes."""
    disk_json, *command = arguments
    options = orjson.loads(disk_json)
    record = os.open(options.pop("record"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    write = os.write
    disk = FailingDisk(**options)
    atexit.register(lambda: write(record, orjson.dumps(disk.calls)))
    disk.install()
    sys.argv[1:] = command
    main()


if __name__ == "__main__":
    launch(sys.argv[1:])
