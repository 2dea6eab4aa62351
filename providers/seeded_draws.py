"""Reproducible random numbers per request: they depend on (seed, purpose, request_id) only, never on order or time."""

from __future__ import annotations

from hashlib import blake2b


def draw_uniform(seed: int, purpose: str, request_id: str) -> float:
    """Draw a number in (0, 1), the same in every process and on every machine."""
    bits = (
        int.from_bytes(_digest(seed, purpose, request_id)) >> 12
    )  # 52 bits plus a half: exact in a float, never 0 or 1
    return (bits + 0.5) / 2**52


def draw_name(seed: int, purpose: str, request_id: str) -> str:
    """Draw a name of sixteen hexadecimal digits."""
    return _digest(seed, purpose, request_id).hex()


def _digest(seed: int, purpose: str, request_id: str) -> bytes:
    return blake2b(f"{seed}\0{purpose}\0{request_id}".encode(), digest_size=8).digest()
