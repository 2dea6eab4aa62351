"""Request ids in headers: servers expect a UUID, the simulator needs the id of the sample that it answers."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from ..network import is_loopback

WHOLE_ID_HEADER = "x-orchestrator-request"
"""The unchanged request id for the simulator, which runs on this machine; the header is sent to no other host."""


def wire_id(request_id: str) -> str:
    """Return the UUIDv5 of a request id in the namespace of URLs: some servers (llama-cpp-python) answer 400 to other ids."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, request_id))


def may_be_simulator(base_url: str) -> bool:
    """Return whether a simulator may listen at this address."""
    return is_loopback(urlsplit(base_url).hostname or "")
