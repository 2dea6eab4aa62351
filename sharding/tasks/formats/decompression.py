"""Compressed task files, `.gz` and `.zst`: their bytes go to a temporary file once, so that rows can be read by offset."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from providers.errors import InputError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Suffixes and their names in pyarrow."""
MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
"""How compressed files begin, whatever they are named."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
FEW_BYTES = 4


class Decompressed:
    """The uncompressed bytes of a file, for as long as they are needed."""

    def __init__(self, path: Path, suffix: str) -> None:
        """Decompress `path`. Raises InputError where it is damaged or not compressed."""
        descriptor, name = tempfile.mkstemp(prefix="orchestrator-", suffix=suffix)
        self.path = Path(name)
        self._remove: Callable[[], object] = weakref.finalize(self, _unlink, self.path)
        compression = COMPRESSIONS[path.suffix.lower()]
        with os.fdopen(descriptor, "wb") as file:
            try:
                _copy(path, compression, file)
            except FileNotFoundError as error:
                raise InputError(f"{path}: no such file; check the path") from error
            except (OSError, ValueError) as error:
                self.close()
                reason = " ".join(str(error).split())
                raise InputError(
                    f"{path}: cannot be decompressed ({reason}); is it complete, and {compression}?"
                ) from error

    def close(self) -> None:
        """Remove the temporary file; further calls do nothing."""
        self._remove()


def _copy(path: Path, compression: str, file: BinaryIO) -> None:
    import pyarrow as pa

    with pa.input_stream(str(path), compression=compression) as source:
        shutil.copyfileobj(source, file, 1 << 20)


def bare_name(path: Path) -> Path:
    """Return the path without the suffix of a compression: `t.jsonl` for `t.jsonl.gz`."""
    return path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path


def fault_of(path: Path) -> str | None:
    """Return why a file cannot be what its name says, with the remedy, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(FEW_BYTES)
    if path.suffix.lower() in (*COMPRESSIONS, ".parquet"):
        return None
    if start.startswith(UTF_16):
        return "is UTF-16 text; save it as UTF-8"
    suffix = next((suffix for magic, suffix in MAGIC.items() if start.startswith(magic)), None)
    return None if suffix is None else f"is compressed; name it {path.name}{suffix}"


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
