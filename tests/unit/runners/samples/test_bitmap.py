"""A set of ordinals in one bit each."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runners.samples.bitmap import Bitmap


@given(
    st.integers(0, 40).flatmap(
        lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1)) if size else st.just(set()))
    )
)
@settings(max_examples=60)
def test_what_is_missing_is_what_was_not_added(drawn: tuple[int, set[int]]) -> None:
    size, added = drawn
    bitmap = Bitmap(size)
    assert all(bitmap.add(ordinal) for ordinal in added)
    assert not any(bitmap.add(ordinal) for ordinal in added)
    assert list(bitmap.missing()) == sorted(set(range(size)) - added)
    assert bitmap.count == len(added)
