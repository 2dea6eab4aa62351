"""Request ids in headers: servers expect a UUID, the simulator needs the id of the sample that it answers."""

from __future__ import annotations

import hashlib
import uuid
from urllib.parse import urlsplit

from .network import is_loopback

_NAMESPACE = uuid.NAMESPACE_URL.bytes
WHOLE_ID_HEADER = "x-orchestrator-request"
"""The unchanged request id for the simulator, which runs on this machine; the header is sent to no other host."""


def wire_id(request_id: str) -> str:
    """Return the UUIDv5 of a request id in the namespace of URLs: some servers (llama-cpp-python) answer 400 to other ids."""
    name = hashlib.sha1(_NAMESPACE + request_id.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(name[16], 16) & 3]
    return f"{name[:8]}-{name[8:12]}-5{name[13:16]}-{variant}{name[17:20]}-{name[20:32]}"


def may_be_simulator(base_url: str) -> bool:
    """Return whether a simulator may listen at this address."""
    return is_loopback(urlsplit(base_url).hostname or "")
