"""A fork server with all imports done. It forks a process for every command.

Starting Python and importing takes longer than most commands of a test. The server has no thread and no event loop, so that its forks
behave like new processes. It ends when its standard input ends. In a fork `sys.executable` is a small program that asks the server for a
fork, too: with `-m` and a module a child starts as fast as its parent did.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

import orjson

ROOT = Path(__file__).resolve().parents[1]
EXECUTABLE = """#!{python} -IS
import json, os, socket, sys
if sys.argv[1] != "-m":
    os.execv("{python}", ["{python}", *sys.argv[1:]])
wire = socket.socket(socket.AF_UNIX)
wire.connect("{address}")
socket.send_fds(wire, [b"\\n"], [0, 1, 2])
order = dict(
    module=sys.argv[2], arguments=sys.argv[3:], environment=dict(os.environ), path=os.getcwd(), folder=os.getcwd()
)
wire.sendall(json.dumps(order).encode() + b"\\n")
for descriptor in (0, 1, 2):
    os.close(descriptor)
code = int(wire.makefile("rb").readlines()[1])
os._exit(code) if code >= 0 else os.kill(os.getpid(), -code)
"""
"""What `sys.executable` is in a fork."""
SERVER = "import sys; from benchmarks.fork_server import serve; serve(sys.argv[1], sys.argv[2:])"
WARM = (
    *("orchestrator", "runners", "sharding", "providers"),
    *(
        "uvloop",
        "genai_prices",
        "pandas",
        "pyarrow.parquet",
        "pyarrow.dataset",
        "pyarrow.acero",
        "pyarrow.pandas_compat",
    ),
    *("encodings.idna", "rich._emoji_codes"),
)
"""Packages that are imported before the first fork, ours with all their modules."""


@dataclass(frozen=True, slots=True)
class Order:
    """The command and surroundings of one process."""

    module: str
    """What `python -m` would run."""
    arguments: list[str]
    """Of the command line, without the module."""
    environment: Mapping[str, str]
    path: str
    """First entry of `sys.path`."""
    folder: str
    """The working directory."""


class ForkedProcess:
    """A process that was forked for an order."""

    def __init__(self, order: Order, address: str, descriptors: Sequence[int]) -> None:
        self._wire = socket.socket(socket.AF_UNIX)
        self._wire.connect(address)
        socket.send_fds(self._wire, [b"\n"], descriptors)
        self._wire.sendall(orjson.dumps(order, option=orjson.OPT_APPEND_NEWLINE))
        self._replies = cast(BinaryIO, self._wire.makefile("rb"))
        self.pid = int(self._replies.readline())
        self.returncode: int | None = None
        """The exit code, negative for a signal; None until `wait` or `poll` have found the end."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            readable, _, _ = select.select([self._wire], [], [], timeout)
            if not readable:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            with self._wire, self._replies:
                self.returncode = int(self._replies.readline())
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal unless the process has ended. Another thread may be waiting for its end."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class ForkServer:
    """The fork server: `with ForkServer() as forks: forks.start(order, out, err)`."""

    def __init__(self, *more: str) -> None:
        self._folder = TemporaryDirectory(prefix="forks-")
        self._address = f"{self._folder.name}/orders"
        self.executable = executable_of(self._address)
        """A Python that asks this server for a fork where it is called with `-m`."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, self._address, *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert self._process.stdout is not None
        self._process.stdout.readline()  # wait until it listens

    def start(self, order: Order, out: int, err: int) -> ForkedProcess:
        """Fork a process for the order, with the descriptors `out` and `err` as its output."""
        with Path(os.devnull).open("rb") as nothing:
            return ForkedProcess(order, self._address, (nothing.fileno(), out, err))

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._folder.cleanup()


def executable_of(address: str) -> Path:
    """Return where the server at `address` puts its executable."""
    return Path(f"{address}-python")


# ------------------------------------------------------------------ server process
def serve(address: str, more: Sequence[str]) -> None:
    """Fork for every order until standard input ends."""
    for name in (*WARM, *more):
        _import_all(name)
    executable = executable_of(address)
    executable.write_text(EXECUTABLE.format(python=sys.executable, address=address))
    executable.chmod(0o700)
    gc.freeze()  # keep shared memory pages shared
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, b"listening\n")
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _guard(connection, executable)
                return
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    """Reap ended children, so that their CPU time is counted."""


def _import_all(name: str) -> None:
    """Import a module, and what it contains if it is a package of this tree. What needs an extra that is not installed is left out."""
    with suppress(ImportError):
        module = importlib.import_module(name)
        if (ROOT / name.replace(".", "/")).is_dir():
            for inner in pkgutil.iter_modules(module.__path__, f"{name}."):
                if not inner.name.endswith(".__main__"):
                    _import_all(inner.name)


def _guard(connection: socket.socket, executable: Path) -> None:
    """Fork once more and report the process id and the exit code; the inner fork becomes the command."""
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    with connection, connection.makefile("rb") as orders:
        order = Order(**orjson.loads(orders.readline()))
        pid = os.fork()
        if pid:
            for descriptor in descriptors:
                os.close(descriptor)
            connection.sendall(b"%d\n" % pid)
            _, status = os.waitpid(pid, 0)
            connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            return
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the server was started by `nohup`
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    sys.executable = str(executable)
    _become(order)


def _become(order: Order) -> None:
    os.environ.clear()
    os.environ.update(order.environment)
    os.chdir(order.folder)
    sys.path.insert(0, order.path)
    sys.argv[1:] = order.arguments
    sys.modules.pop(order.module, None)
    runpy.run_module(order.module, run_name="__main__", alter_sys=True)
