"""YAML as people write it: dates stay text, and a key that stands twice is refused, because one of the two would be lost.

So is a document whose aliases stand for far more than was written: ten lines can say a billion values.
"""

from __future__ import annotations

from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"
"""The tag of `<<`, whose keys may be overridden."""

MOST_CHARACTERS = 1_000_000
"""Characters and values that a short document may have with its aliases written out; a longer one may have twice its length."""

UNREADABLE = (yaml.YAMLError, ValueError, OverflowError, RecursionError)
"""`!!int x` is a ValueError of PyYAML's, a sign beyond Unicode an OverflowError, a thousand brackets are a RecursionError."""


class StrictLoader(yaml.SafeLoader):
    """Dates stay text: `api_version: 2024-10-21` needs no quotes."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping. Raises MarkedYAMLError where a key stands twice."""
        seen: dict[tuple[str, str], int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == MERGE:
                continue
            key, line = (key_node.tag, key_node.value), key_node.start_mark.line + 1
            if key in seen:
                problem = f"the key {key_node.value!r} stands twice, first in line {seen[key]}; rename or remove one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            seen[key] = line
        return super().construct_mapping(node, deep)


StrictLoader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(text: str) -> Any:
    """Parse a document. Raises one of UNREADABLE."""
    loader = StrictLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _require_bounded(node, {}, max(MOST_CHARACTERS, 2 * len(text)))
        return loader.construct_document(node)
    finally:
        loader.dispose()


def yaml_place(error: Exception) -> str:
    """Describe why a document cannot be read, with its line where that is known."""
    if not isinstance(error, yaml.YAMLError):
        return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "cannot be read"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def is_quoted(text: str) -> bool:
    """Return whether a text is one scalar in quotes, from its first sign to its last."""
    if not text.startswith(("'", '"')):
        return False
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except UNREADABLE:
        return False
    return isinstance(node, yaml.ScalarNode) and node.end_mark.index == len(text)


def _require_bounded(node: yaml.Node, sizes: dict[yaml.Node, int | None], limit: int) -> int:
    """Return the characters and values of a node with its aliases written out; each node is visited once. Raises MarkedYAMLError."""
    known = sizes.get(node, -1)
    if known is None:
        raise yaml.MarkedYAMLError(problem="an alias stands within its own anchor", problem_mark=node.start_mark)
    if known >= 0:
        return known
    sizes[node] = None
    size = 1
    if isinstance(node, yaml.ScalarNode):
        size += len(node.value)
    else:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        size += sum(_require_bounded(part, sizes, limit) for part in parts)
    if size > limit:
        problem = f"its aliases stand for more than {limit:,} characters; write them out or use fewer"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    sizes[node] = size
    return size
