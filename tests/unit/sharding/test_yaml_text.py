"""What YAML may say with aliases."""

from __future__ import annotations

import itertools

import pytest
import yaml

from sharding.yaml_text import load_yaml

LEVELS = "abcdefghij"


def bomb(first: str, further: str) -> str:
    """Ten levels, each of nine aliases of the one before."""
    lines = [first]
    for below, level in itertools.pairwise(LEVELS):
        lines.append(f"{level}: &{level} " + further.format(",".join([f"*{below}"] * 9)))
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb("a: &a [x, x, x]", "[{}]"),
        bomb("a: &a {x: 1}", "{{<<: [{}]}}"),
        bomb("a: &a {x: 1}", "{{y: [{}]}}"),
        "a: &a " + "x" * 10_000 + "\nb: [" + ", ".join(["*a"] * 200) + "]",
    ],
    ids=["lists", "merges", "mappings", "one long text"],
)
def test_aliases_that_stand_for_far_more_than_was_written_are_refused(text: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError, match="aliases stand for more than 1,000,000 characters"):
        load_yaml(text)


def test_an_alias_within_its_own_anchor_is_refused() -> None:
    with pytest.raises(yaml.MarkedYAMLError, match="an alias stands within its own anchor"):
        load_yaml("a: &a [*a]")


def test_ordinary_aliases_and_long_documents_are_read() -> None:
    assert load_yaml("a: &a {b: 1}\nc: *a\nd: {<<: *a, e: 2}") == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}
    assert load_yaml("- " + "x" * 1_500_000) == ["x" * 1_500_000]
    assert load_yaml("") is None
