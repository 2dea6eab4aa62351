"""Verbose logging, when the configuration asks for it: `debug.log` in the run directory, of every shard or of the n-th alone."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

from providers.file_modes import as_its_folder
from runners.durable import storing

from ..results.run_directory.directory import RunDirectory
from ..ui.terminal import PrintableFormatter
from .context import RunContext

log = logging.getLogger(__name__)

LOGGERS = ("runners", "providers", "sharding", "orchestrator")


class ShardFilter(logging.Filter):
    """A log filter that passes the lines of one shard's samples, and the lines that belong to no shard."""

    def __init__(self, instance: str) -> None:
        super().__init__()
        self._instance = instance

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the log record belongs to a sample that was planned for this instance, or to no instance."""
        return getattr(record, "planned", self._instance) == self._instance


class DebugLogFile(logging.FileHandler):
    """The file of the log. After a write error it warns and writes no more lines; the run continues."""

    def _open(self) -> TextIOWrapper:
        return TextIOWrapper(open(self.baseFilename, "ab", opener=as_its_folder), self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Stop writing if the disk failed; any other error is a bug and is shown."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self.setLevel(logging.CRITICAL + 1)
        log.warning("cannot write %s: %s; no more is logged there in this run", self.baseFilename, error.strerror)

    def close(self) -> None:
        """Close the file; what a full disk did not take is lost."""
        with suppress(OSError):
            super().close()


@contextmanager
def debug_log(context: RunContext, directory: RunDirectory) -> Iterator[None]:
    """Log while the block runs."""
    run = context.config.run
    if not run.debug_log and run.debug_process_num is None:
        yield
        return
    with storing(directory.path / "debug.log"):
        handler = DebugLogFile(directory.path / "debug.log", encoding="utf-8")
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    if run.debug_process_num is not None:
        handler.addFilter(ShardFilter(_shard(context, run.debug_process_num)))
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).setLevel(logging.NOTSET)
        handler.close()


def _shard(context: RunContext, number: int) -> str:
    return context.whole_plan.stages[0][number - 1].instance
