from __future__ import annotations

import hashlib

import pytest

from sharding.sample_index import SampleIndex


def digest(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


@pytest.mark.parametrize("length", [0, 1, 2, 7, 8, 1000])
def test_every_digest_leads_back_to_its_ordinal(length: int) -> None:
    index = SampleIndex(length)
    for ordinal in reversed(range(length)):
        index.put(digest(ordinal), ordinal)
    assert len(index) == length
    assert [index[digest(ordinal).hex()] for ordinal in range(length)] == list(range(length))
    assert list(index) == [digest(ordinal).hex() for ordinal in range(length)]


def test_digests_that_begin_alike_are_told_apart() -> None:
    index = SampleIndex(3)
    digests = [bytes(15) + bytes([last]) for last in range(3)]
    for ordinal, value in enumerate(digests):
        index.put(value, ordinal)
    assert [index[value.hex()] for value in digests] == [0, 1, 2]


@pytest.mark.parametrize("unknown", ["", "warm-up", "00", digest(99).hex()])
def test_an_unknown_id_is_not_found(unknown: str) -> None:
    index = SampleIndex(1)
    index.put(digest(0), 0)
    assert unknown not in index
    assert index.get(unknown) is None
