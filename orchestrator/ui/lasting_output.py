"""Standard output and error that a command can always write to.

What a command prints is worth less than what it does: a sign that the encoding lacks, a closed pipe or a full device must not end a run or
change its exit code.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

STANDARD_DESCRIPTORS = (0, 1, 2)


class _LastingFile(io.FileIO):
    """A descriptor that is turned to the null device when it can no longer be written to."""

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._title = name

    def write(self, data: object) -> int:
        """Write what can be written and report the rest as written, too."""
        try:
            written: int | None = super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EINTR}:
                self._give_up(error)
            written = None
        return memoryview(data).nbytes if written is None else written  # type: ignore[arg-type]

    def _give_up(self, error: OSError) -> None:
        """Turn the descriptor to the null device; say so, unless a reader has simply gone away, as with `| head`."""
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, self.fileno())
        os.close(null_device)
        if error.errno != errno.EPIPE and self.fileno() != 2:
            with suppress(OSError):
                os.write(2, f"what is printed is lost from here on ({self._title}: {error.strerror})\n".encode())


def make_output_lasting() -> None:
    """Replace `sys.stdout` and `sys.stderr`. Signs that their encoding does not have are printed as question marks."""
    _open_closed_descriptors()
    sys.stdout = _lasting(sys.stdout, 1, "standard output")
    sys.stderr = _lasting(sys.stderr, 2, "standard error")


def _open_closed_descriptors() -> None:
    """Open the null device where a standard descriptor is closed: the next file would get its number, and what is printed."""
    for descriptor in STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


def _lasting(stream: TextIO | None, descriptor: int, name: str) -> TextIO:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    file = _LastingFile(descriptor, name)
    return io.TextIOWrapper(
        io.BufferedWriter(file), encoding, errors="replace", line_buffering=descriptor == 2 or file.isatty()
    )
