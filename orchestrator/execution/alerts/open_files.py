"""The system's limit on open files: it is raised as far as possible, and the workers of a run are bounded by what remains."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import replace

from providers.instance import Instance
from runners.samples.pool import MOST_OPEN

ENOUGH = 65_536
"""More sockets than one process can use."""
RESERVE = 32
"""Files other than sockets: journal, parts, logs, name look-ups."""
_FALLBACK_OPEN = 32
"""Used if the system does not list the open files."""


def raise_open_files() -> None:
    """Raise the soft limit to the hard one, for this process and its children; if the system refuses, nothing changes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):  # macOS has a second limit below its hard one
            return


def free_sockets() -> int:
    """Return how many connections may be open at once beside all other files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = ENOUGH if soft == resource.RLIM_INFINITY else soft
    return max(1, limit - _open_now() - RESERVE)


def fit_workers(
    instances: Mapping[str, Sequence[Instance]], samples: int, sockets: int
) -> tuple[dict[str, list[Instance]], str | None]:
    """Lower the workers in proportion if the samples in flight would need more connections than `sockets`, and return a message."""
    listed = [instance for group in instances.values() for instance in group]
    wanted = sum(_workers(instance) for instance in listed)
    if min(wanted, samples) <= sockets:
        return {model: list(group) for model, group in instances.items()}, None
    fitted = {
        model: [replace(instance, workers=max(1, _workers(instance) * sockets // wanted)) for instance in group]
        for model, group in instances.items()
    }
    total = sum(_workers(instance) for group in fitted.values() for instance in group)
    return fitted, (
        f"{min(wanted, samples)} requests at once need more open files than the system allows: at most {total} are in flight; "
        "raise the hard limit (ulimit -Hn) or set run.max_workers"
    )


def _workers(instance: Instance) -> int:
    return instance.workers or MOST_OPEN


def _open_now() -> int:
    try:
        return len(os.listdir("/dev/fd"))  # noqa: PTH208 - names alone; Linux and macOS
    except OSError:
        return _FALLBACK_OPEN
