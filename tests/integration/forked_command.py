"""A command of the orchestrator in a forked process, with what the tests use of `subprocess.Popen`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.fork_server import ForkServer, Order


class ForkedCommand:
    """A process that behaves like `python -m orchestrator ARGUMENTS` in `folder`, with pipes as its output."""

    def __init__(
        self, forks: ForkServer, environment: Mapping[str, str], folder: Path, arguments: Sequence[str]
    ) -> None:
        (out, written_out), (err, written_err) = os.pipe(), os.pipe()
        order = Order("orchestrator", list(arguments), environment, str(folder), str(folder))
        self._process = forks.start(order, written_out, written_err)
        os.close(written_out)
        os.close(written_err)
        self.stdout, self.stderr = open(out, encoding="utf-8"), open(err, encoding="utf-8")  # noqa: PTH123, SIM115

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        return self._process.wait(timeout)

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read both outputs to their end and wait for the process; after that, both are empty. Kills it after `timeout` seconds."""
        if self.stdout.closed:
            return "", ""
        with ThreadPoolExecutor(2) as readers:
            reads = [readers.submit(file.read) for file in (self.stdout, self.stderr)]
            try:
                out, err = (read.result(timeout) for read in reads)
            except TimeoutError:
                self.kill()
                raise
        self.stdout.close()
        self.stderr.close()
        self.wait(timeout)
        return out, err
