"""How a request is named on the wire: servers want a UUID, the simulator wants to know which sample it answers."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from ..network import is_loopback

WHOLE_ID_HEADER = "x-orchestrator-request"
"""Read by the simulator alone, which is nowhere but on this machine: the header goes to no other host."""


def wire_id(request_id: str) -> str:
    """The UUIDv5 of a request id in the namespace of URLs: some servers (llama-cpp-python) answer 400 to anything else."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, request_id))


def may_be_simulator(base_url: str) -> bool:
    """Whether a simulator, started by a run or standing alone, may listen at this address."""
    return is_loopback(urlsplit(base_url).hostname or "")
