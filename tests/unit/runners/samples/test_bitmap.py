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


def test_ordinals_added_together_are_counted_once() -> None:
    done = Bitmap(20)
    assert done.add_all([3, 9, 3, 19]) == [3]
    assert done.add_all([9, 4]) == [9]
    assert (done.count, [ordinal for ordinal in range(20) if ordinal in done]) == (4, [3, 4, 9, 19])
