"""A fork server with all imports done. It forks a process for every command.

Starting Python and importing takes longer than most trials. The server has no thread and no event loop, so that its forks behave like new
processes. It ends when its standard input ends.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

import orjson

from .launcher import launch

WARM = (
    "orchestrator.cli.sweeps.run",
    "orchestrator.cli.sweeps.resume",
    "orchestrator.cli.sweeps.execution",
    "orchestrator.cli.stored.verify",
    "orchestrator.execution.execute",
    "orchestrator.results.verify.verifier",
    "orchestrator.results.run",
    "runners.journal.sinks.parquet",
    "runners.journal.sinks.jsonl",
    "uvloop",
    "pyarrow.parquet",
    "genai_prices",
    "benchmarks.crash_matrix.provider",
)


@dataclass(frozen=True, slots=True)
class Order:
    """The command and environment of one process."""

    arguments: list[str]
    """Arguments of the launcher."""
    environment: Mapping[str, str]
    path: str
    """First entry of `sys.path`."""
    output: str
    """File for stdout and stderr."""


class Process:
    """A process that was forked for an order."""

    def __init__(self, order: Order, address: str) -> None:
        self._wire = socket.socket(socket.AF_UNIX)
        self._wire.connect(address)
        self._wire.sendall(orjson.dumps(order, option=orjson.OPT_APPEND_NEWLINE))
        self._replies = cast(BinaryIO, self._wire.makefile("rb"))
        self._pid = int(self._replies.readline())
        self._ended = threading.Event()

    def wait(self, timeout_s: float) -> int:
        """Wait for the end and return the exit code, negative for a signal. Raises TimeoutError."""
        readable, _, _ = select.select([self._wire], [], [], timeout_s)
        if not readable:
            raise TimeoutError
        self._ended.set()
        with self._wire, self._replies:
            return int(self._replies.readline())

    def send_signal(self, number: int) -> None:
        """Send a signal unless the process has ended."""
        if not self._ended.is_set():
            os.kill(self._pid, number)


class Zygote:
    """The fork server: `with Zygote() as zygote: zygote.start(order)`."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="zygote-")
        self._address = f"{self._folder.name}/orders"
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, self._address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert self._process.stdout is not None
        self._process.stdout.readline()  # wait until it listens

    def start(self, order: Order) -> Process:
        """Fork a process for the order."""
        return Process(order, self._address)

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._folder.cleanup()


# ------------------------------------------------------------------ server process
def serve(address: str) -> None:
    """Fork for every order until standard input ends."""
    for name in WARM:
        importlib.import_module(name)
    gc.freeze()  # keep shared memory pages shared
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, b"listening\n")
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _guard(connection)
                return
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    """Reap ended children, so that their CPU time is counted."""


def _guard(connection: socket.socket) -> None:
    """Fork once more and report the process id and the exit code; the inner fork does not return from `launch`."""
    with connection, connection.makefile("rb") as orders:
        order = Order(**orjson.loads(orders.readline()))
        pid = os.fork()
        if pid:
            connection.sendall(b"%d\n" % pid)
            _, status = os.waitpid(pid, 0)
            connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            return
    _become(order)


def _become(order: Order) -> None:
    os.setsid()
    os.environ.update(order.environment)
    sys.path.insert(0, order.path)
    output = os.open(order.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for descriptor, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(source, descriptor)
    launch(order.arguments)


if __name__ == "__main__":
    serve(sys.argv[1])
